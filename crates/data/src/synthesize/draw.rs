//! Draws one micrograph and its mask.

use super::imaging::Imaging;
use super::noise::photograph;
use super::params::SynthesizeParams;
use super::scale::Scale;
use crate::{Mask, Micrograph, Split};
use matssl_base::random::Stream;

/// Image `index` of `split` (one channel) and its mask. A pure function of its arguments: a set can grow without changing the
/// images that it has.
pub fn synthesize_one(params: &SynthesizeParams, split: Split, index: usize) -> (Micrograph, Mask) {
    let size = params.size;
    let base = Stream::new(params.seed, &format!("synthesize {}", split.name()), 0, index as u64);
    let imaging = Imaging::draw(params.imaging, &mut base.child(6));
    let params = &imaging.magnified(params);
    let scale = Scale { size, grain: params.grain };
    let drawing = params.structure.draw(&scale, &base);
    let pixels = photograph(drawing.grey, params, &imaging, &base.child(5));
    (
        Micrograph { width: size, height: size, channels: 1, pixels },
        Mask { width: size, height: size, labels: drawing.labels },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthesize::Structure;

    #[test]
    fn shares_of_the_phases_are_within_their_bounds() {
        let bounds: [(Structure, &[[f64; 2]]); 5] = [
            (Structure::Steel, &[[0.48, 0.66], [0.14, 0.27], [0.10, 0.20], [0.04, 0.11]]),
            (Structure::Needles, &[[0.40, 0.62], [0.36, 0.58], [0.005, 0.04]]),
            (Structure::Dendrites, &[[0.30, 0.60], [0.38, 0.68], [0.005, 0.05]]),
            (Structure::Cracks, &[[0.88, 0.98], [0.01, 0.07], [0.005, 0.06]]),
            (Structure::Coating, &[[0.25, 0.50], [0.10, 0.35], [0.20, 0.50], [0.005, 0.05], [0.02, 0.12]]),
        ];
        for (structure, bounds) in bounds {
            let params = SynthesizeParams { size: 192, structure, ..SynthesizeParams::default() };
            let images = if structure == Structure::Steel { 12 } else { 6 };
            let mut counts = vec![0.0; structure.classes().len()];
            assert_eq!(counts.len(), bounds.len());
            for index in 0..images {
                let (image, mask) = synthesize_one(&params, Split::Train, index);
                assert_eq!((image.pixels.len(), mask.labels.len()), (192 * 192, 192 * 192));
                for &label in &mask.labels {
                    counts[usize::from(label)] += 1.0 / (images as f64 * 192.0 * 192.0);
                }
            }
            for (share, [low, high]) in counts.iter().zip(bounds) {
                assert!((low..high).contains(&share), "{structure:?} {counts:?}");
            }
        }
    }

    /// No threshold finds the phases: the grey values of neighbouring classes overlap.
    #[test]
    fn grey_values_of_the_largest_phases_overlap() {
        for structure in Structure::ALL {
            let params = SynthesizeParams { size: 128, structure, ..SynthesizeParams::default() };
            // The two largest classes that are alike; a bright coating on its oxide is an exception, as in real ones.
            let pair = if structure == Structure::Coating { [1, 2] } else { [0, 1] };
            let mut levels = [vec![], vec![]];
            for index in 0..4 {
                let (image, mask) = synthesize_one(&params, Split::Train, index);
                for (&value, &label) in image.pixels.iter().zip(&mask.labels) {
                    if let Some(at) = pair.iter().position(|class| *class == label) {
                        levels[at].push(value);
                    }
                }
            }
            levels.iter_mut().for_each(|levels| levels.sort_unstable());
            let quantile =
                |at: usize, part: f64| f64::from(levels[at][(part * (levels[at].len() - 1) as f64) as usize]);
            let (low, high) = (quantile(1, 0.05), quantile(1, 0.95));
            let median = quantile(0, 0.5);
            assert!(
                structure == Structure::Cracks || (low < median && median < high),
                "{structure:?} {low} {median} {high}"
            );
            // A crack is dark, but parts of the matrix are as dark.
            assert!(quantile(0, 0.02) < quantile(1, 0.9), "{structure:?}");
        }
    }

    #[test]
    fn an_image_depends_on_its_split_and_index_alone_and_noise_does_not_change_the_mask() {
        for structure in Structure::ALL {
            let params = SynthesizeParams { size: 64, structure, ..SynthesizeParams::default() };
            let first = synthesize_one(&params, Split::Train, 0);
            assert_eq!(first, synthesize_one(&SynthesizeParams { train: 99, ..params.clone() }, Split::Train, 0));
            let noisy = SynthesizeParams { noise: 3.0, scratches: 9.0, shading: 0.0, ..params.clone() };
            let noisy = synthesize_one(&noisy, Split::Train, 0);
            assert_eq!(first.1, noisy.1);
            assert_ne!(first.0, noisy.0);
            for other in [synthesize_one(&params, Split::Train, 1), synthesize_one(&params, Split::Test, 0)] {
                assert_ne!(first.1, other.1);
            }
        }
    }

    #[test]
    fn imaging_spreads_brightness_and_contrast_over_the_pictures() {
        let spreads = [0.0, 1.0].map(|imaging| {
            let params = SynthesizeParams { size: 96, imaging, ..SynthesizeParams::default() };
            let moments = (0..16).map(|index| {
                let pixels = synthesize_one(&params, Split::Train, index).0.pixels;
                let count = pixels.len() as f64;
                let mean = pixels.iter().map(|&grey| f64::from(grey)).sum::<f64>() / count;
                let square = pixels.iter().map(|&grey| (f64::from(grey) - mean).powi(2)).sum::<f64>() / count;
                [mean, square.sqrt()]
            });
            let moments: Vec<_> = moments.collect();
            [0, 1].map(|of| {
                let values = moments.iter().map(|moment| moment[of]);
                values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
            })
        });
        assert!((0..2).all(|of| spreads[1][of] > 1.5 * spreads[0][of]), "{spreads:?}");
    }
}
