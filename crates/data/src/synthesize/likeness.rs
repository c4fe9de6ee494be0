//! Synthetic micrographs in the style of a real data set: grey values, noise and scale of texture.

use super::draw::synthesize_one;
use super::noise::defocus;
use super::params::SynthesizeParams;
use super::style::{Style, noise};
use crate::{DataError, Mask, Micrograph, OpenDataset, Split};
use matssl_base::random::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The splits whose images are measured. Validation and test images must not shape what a model is trained on.
pub const MEASURED: [Split; 2] = [Split::Train, Split::Unlabeled];
/// Maximum number of images that are measured, evenly spaced over all.
const MOST_IMAGES: usize = 64;
/// Number of pictures that are drawn to find the size of grains, and of times that it is corrected.
const PROBES: usize = 4;
const CORRECTIONS: usize = 5;
/// Largest factor between the `grain` of one picture and that of the set.
const MOST_FACTOR: f64 = 1.6;

/// The measured style of a real data set, and the parameters by which pictures of that style are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeness {
    /// By measured image.
    styles: Vec<Style>,
    /// Their mean.
    target: Style,
    /// With the fitted grain, and without noise.
    params: SynthesizeParams,
    /// The mean style of pictures as they would be without it.
    before: Style,
}

/// What is written beside the manifest: `style.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct StyleReport {
    /// The mean style of the real images.
    pub target: Style,
    /// That of the first synthetic pictures without the target.
    pub before: Style,
    /// That of the first synthetic pictures as they were written.
    pub after: Style,
    /// Number of real images that were measured: training and unlabelled images only.
    pub images: usize,
    /// Mean diameter of a grain in pixels that was found by the texture's scale.
    pub grain: f64,
}

impl StyleReport {
    /// File name in the output of a stage.
    pub const FILE: &'static str = "style.json";

    /// Writes it into `folder` as JSON.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), DataError> {
        let path = folder.join(Self::FILE);
        let json = serde_json::to_vec_pretty(self);
        let json = json.map_err(|error| DataError::writing(&path)(std::io::Error::other(error)))?;
        std::fs::write(&path, json).map_err(DataError::writing(&path))
    }
}

impl Likeness {
    /// Measures training and unlabelled images of `dataset`, never validation and test images, and fits `params.grain` to the scale
    /// of their texture. `None` if there are no such images.
    ///
    /// # Errors
    /// [`DataError`] if an image cannot be read.
    pub fn measure(params: &SynthesizeParams, dataset: &OpenDataset) -> Result<Option<Likeness>, DataError> {
        let entries: Vec<_> = MEASURED.into_iter().flat_map(|split| dataset.entries(split)).collect();
        let step = entries.len().div_ceil(MOST_IMAGES).max(1);
        let chosen: Vec<_> = entries.into_iter().step_by(step).collect();
        let styles: Result<Vec<Style>, DataError> =
            chosen.par_iter().map(|entry| Ok(Style::of(&dataset.read_image(entry)?))).collect();
        Ok(Likeness::of(params, styles?))
    }

    /// Of measured `styles`; `None` if there are none.
    pub fn of(params: &SynthesizeParams, styles: Vec<Style>) -> Option<Likeness> {
        let target = Style::mean_of(&styles)?;
        let probe = |params: &SynthesizeParams| {
            let styles: Vec<Style> = (0..PROBES)
                .into_par_iter()
                .map(|index| Style::of(&synthesize_one(params, Split::Train, index).0))
                .collect();
            Style::mean_of(&styles)
        };
        let before = probe(params)?;
        let clean = |grain: f64| SynthesizeParams { noise: 0.0, grain, ..params.clone() };
        let most = (params.size as f64 / 3.0).max(SynthesizeParams::LEAST_GRAIN);
        let (mut grain, mut best) = (params.grain, (f64::INFINITY, params.grain));
        for _ in 0..CORRECTIONS {
            let ratio = target.correlation_length / probe(&clean(grain))?.correlation_length;
            if ratio.ln().abs() < best.0 {
                best = (ratio.ln().abs(), grain);
            }
            grain = (grain * ratio.clamp(0.5, 2.0)).clamp(SynthesizeParams::LEAST_GRAIN, most);
        }
        // Not the last one: a texture that does not scale with the grain alone, as layers, may have none that fits.
        let fitted = clean(best.1);
        Some(Likeness { styles, target, params: fitted, before })
    }

    /// Image `index` of `split` and its mask, in the style of one of the measured images; they take turns in a random order. A
    /// pure function of its arguments.
    pub fn draw(&self, split: Split, index: usize) -> (Micrograph, Mask) {
        let mut stream = Stream::new(self.params.seed, &format!("style {}", split.name()), 0, index as u64);
        let turns = Stream::new(self.params.seed, "turns", 0, split as u64).permutation(self.styles.len());
        let style = &self.styles[turns[index % turns.len()]];
        let factor = style.correlation_length / self.target.correlation_length;
        let grain = self.params.grain * factor.clamp(1.0 / MOST_FACTOR, MOST_FACTOR);
        let params = SynthesizeParams { grain: grain.max(SynthesizeParams::LEAST_GRAIN), ..self.params.clone() };
        let (image, mask) = synthesize_one(&params, split, index);
        (restyle(image, style, &mut stream), mask)
    }

    /// What is written beside the manifest.
    pub fn report(&self) -> StyleReport {
        let drawn = (0..PROBES).into_par_iter().map(|index| Style::of(&self.draw(Split::Train, index).0));
        let after = Style::mean_of(&drawn.collect::<Vec<_>>());
        StyleReport {
            after: after.unwrap_or_else(|| self.target.clone()),
            target: self.target.clone(),
            before: self.before.clone(),
            images: self.styles.len(),
            grain: self.params.grain,
        }
    }
}

/// `image` (one channel, without noise) with the mean, the contrast and the noise of `style`. Grey values are moved and stretched
/// alike: a histogram that is matched level by level tears a phase apart where the shares of the phases differ.
fn restyle(image: Micrograph, style: &Style, stream: &mut Stream) -> Micrograph {
    let width = image.width;
    // Values between whole numbers, so that a stretched picture has no steps.
    let values: Vec<f64> = image.pixels.iter().map(|&v| f64::from(v) + stream.uniform() - 0.5).collect();
    // Noise adds to the contrast: what it is added to has less.
    let clean = (style.contrast.powi(2) - style.noise.powi(2)).max(0.05 * style.contrast.powi(2)).sqrt();
    let mut grey = stretched(&values, style.mean, clean);
    let mut own = noise(&grey, width);
    if own > style.noise {
        grey = stretched(&blurred(&grey, width, style.noise), style.mean, clean);
        own = noise(&grey, width);
    }
    let sigma = (style.noise.powi(2) - own.powi(2)).max(0.0).sqrt();
    let noisy = grey.iter().map(|value| value + sigma * stream.normal());
    let pixels = noisy.map(|value| value.round().clamp(0.0, 255.0) as u8).collect();
    Micrograph { pixels, ..image }
}

/// `values`, moved and stretched to this mean and this standard deviation.
fn stretched(values: &[f64], mean: f64, contrast: f64) -> Vec<f64> {
    let count = values.len().max(1) as f64;
    let from = values.iter().sum::<f64>() / count;
    let spread = (values.iter().map(|value| (value - from).powi(2)).sum::<f64>() / count).sqrt();
    let factor = contrast / spread.max(1e-6);
    values.iter().map(|value| mean + factor * (value - from)).collect()
}

/// `grey` with the least blur by which its noise is at most `most`, up to a standard deviation of 3 pixels.
fn blurred(grey: &[f64], width: usize, most: f64) -> Vec<f64> {
    let mut blurred = grey.to_vec();
    for step in 1..=10 {
        let mut values: Vec<f32> = grey.iter().map(|&v| v as f32).collect();
        defocus(&mut values, width, 0.3 * step as f32);
        blurred = values.into_iter().map(f64::from).collect();
        if noise(&blurred, width) <= most {
            break;
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthesize::{Structure, synthesize};
    use crate::{Manifest, Root};

    fn params() -> SynthesizeParams {
        SynthesizeParams { size: 96, unlabeled: 2, train: 2, val: 1, test: 1, ..SynthesizeParams::default() }
    }

    /// A data set of finer, darker, noisier pictures.
    fn target(folder: &Path) -> OpenDataset {
        let params = SynthesizeParams { grain: 16.0, noise: 2.5, seed: 7, structure: Structure::Needles, ..params() };
        synthesize(&params, folder, &|_, _| {}).unwrap();
        OpenDataset::open(&folder.join(Manifest::FILE), Root::Folder(folder.to_owned())).unwrap()
    }

    #[test]
    fn the_style_of_the_result_is_nearer_to_the_target_than_before() {
        let folder = tempfile::tempdir().unwrap();
        for structure in Structure::ALL {
            let params = SynthesizeParams { structure, ..params() };
            let likeness = Likeness::measure(&params, &target(folder.path())).unwrap().unwrap();
            let report = likeness.report();
            assert_eq!(report.images, 4);
            let (before, after) = (report.before.differences(&report.target), report.after.differences(&report.target));
            println!("{structure:?}: grain {:.1} {before:.2?} {after:.2?}", report.grain);
            assert!(after[0] < 0.5 * before[0] + 1.0, "{structure:?} grey values: {before:?} {after:?}");
            assert!(after[1] < 0.5 * before[1] + 0.5, "{structure:?} noise: {before:?} {after:?}");
            // The layers of a coating are as thick as they are.
            let most = if structure == Structure::Coating { 1.2 * before[2] } else { 1.25 };
            assert!(after[2] < most, "{structure:?} correlation length: {before:?} {after:?}");
        }
    }

    /// Validation and test images do not count, whatever they look like.
    #[test]
    fn only_training_and_unlabelled_images_are_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut dataset = target(folder.path());
        let first = Likeness::measure(&params(), &dataset).unwrap().unwrap();
        for entry in dataset.manifest.images.iter().filter(|entry| !MEASURED.contains(&entry.split)) {
            std::fs::remove_file(folder.path().join(&entry.image)).unwrap();
        }
        assert_eq!(Likeness::measure(&params(), &dataset).unwrap().unwrap(), first, "they are not even read");
        dataset.manifest.images.retain(|entry| !MEASURED.contains(&entry.split));
        assert_eq!(Likeness::measure(&params(), &dataset).unwrap(), None);
    }

    #[test]
    fn a_styled_picture_is_a_pure_function_and_keeps_the_order_of_grey_values() {
        let folder = tempfile::tempdir().unwrap();
        let likeness = Likeness::measure(&params(), &target(folder.path())).unwrap().unwrap();
        let (image, mask) = likeness.draw(Split::Train, 1);
        assert_eq!((image.clone(), mask.clone()), likeness.draw(Split::Train, 1));
        assert_ne!(image, likeness.draw(Split::Train, 0).0);
        let moved = stretched(&[0.0, 10.0, 20.0], 100.0, 2.0);
        assert!(
            moved.is_sorted() && (moved[1] - 100.0).abs() < 1e-12 && (moved[2] - 102.449_489_7).abs() < 1e-6,
            "{moved:?}"
        );
    }
}
