//! Monitors an encoder during training by the k-NN accuracy on labelled patches.

use super::StageError;
use super::errors::data_error;
use crate::data::augment::normalization;
use crate::data::patches::{Edge, positions};
use crate::data::tiles::{TileBatch, Tiling};
use crate::data::{Entry, IGNORE, Manifest, Mask, Micrograph, OpenDataset, Split};
use crate::nn::{Encoder, Mode, Parameters, Tape};
use crate::ssl::{ENCODER, normalize};
use crate::train::Batches;
use anyhow::Result;
use candle_core::{DType, Device, Tensor};

/// The column of the history.
pub(super) const COLUMN: &str = "knn_accuracy";

/// The images that it reads: never those of the test.
pub(super) const SPLITS: [Split; 2] = [Split::Train, Split::Val];

/// Number of neighbours that vote, and the temperature of the weights of their cosines: Caron et al. 2021 (*DINO*),
/// section 4.1, and Wu et al. 2018 (*Instance Discrimination*), section 3.4.
const NEIGHBOURS: usize = 20;
const TEMPERATURE: f64 = 0.07;

/// Number of patches in a forward pass.
const BATCH: usize = 16;
/// Number of patches that are compared with all others at a time.
const ROWS: usize = 64;

/// Patches of labelled images, without overlap.
pub(super) struct Monitor {
    patches: Vec<Micrograph>,
    /// The most frequent class of each patch.
    classes: Vec<u8>,
    /// The index of the image of each patch.
    images: Vec<usize>,
}

/// Checks whether the images of the data set `name` fit a network of `in_channels`, and can have patches of `size` pixels of two images and two classes.
///
/// # Errors
/// One line with the cure.
pub(super) fn check(manifest: &Manifest, name: &str, size: usize, in_channels: usize) -> Result<(), String> {
    manifest.check_channels(&SPLITS, true, in_channels).map_err(|message| format!("`monitor`: {message}"))?;
    let used = SPLITS.into_iter().flat_map(|split| manifest.entries(split));
    let images: Vec<&Entry> =
        used.filter(|entry| entry.mask.is_some() && entry.width.min(entry.height) >= size).collect();
    // Of images that are not drawn yet, the classes are not known.
    let has = |class: usize| images.iter().any(|entry| entry.class_pixels.get(class).is_none_or(|&pixels| pixels > 0));
    if images.len() > 1 && (0..manifest.classes.len()).filter(|&class| has(class)).count() > 1 {
        return Ok(());
    }
    Err(too_little(name, size))
}

fn too_little(name: &str, size: usize) -> String {
    format!(
        "`monitor`: expected at least two labelled training or validation images with patches of {size} pixels in data set \
         {name}, and two classes in them; choose another data set, or remove `monitor`"
    )
}

impl Monitor {
    /// Cuts patches of `size` pixels from the data set `name`: from its training and validation images with masks; never from test images.
    ///
    /// # Errors
    /// If an image cannot be read or does not fit a network of `in_channels`, or fewer than two images or classes have patches.
    pub(super) fn open(dataset: &OpenDataset, name: &str, size: usize, in_channels: usize) -> Result<Self, StageError> {
        check(&dataset.manifest, name, size, in_channels).map_err(StageError::BadData)?;
        let mut monitor = Monitor { patches: Vec::new(), classes: Vec::new(), images: Vec::new() };
        let entries = SPLITS.into_iter().flat_map(|split| dataset.entries(split));
        for (index, entry) in entries.enumerate() {
            if let (image, Some(mask)) = dataset.read(entry).map_err(data_error)? {
                monitor.add(index, &image, &mask, size);
            }
        }
        let several = |of: &mut dyn Iterator<Item = usize>| of.collect::<std::collections::BTreeSet<_>>().len() > 1;
        let classes = several(&mut monitor.classes.iter().map(|&class| class.into()));
        if !classes || !several(&mut monitor.images.iter().copied()) {
            return Err(StageError::BadData(too_little(name, size)));
        }
        Ok(monitor)
    }

    fn add(&mut self, index: usize, image: &Micrograph, mask: &Mask, size: usize) {
        let (width, channels) = (image.width, image.channels);
        let offsets = |length| positions(length, size, 0.0, Edge::Drop);
        for (top, left) in
            offsets(image.height).into_iter().flat_map(|y| offsets(width).into_iter().map(move |x| (y, x)))
        {
            let rows = (top..top + size).map(|y| y * width + left);
            let mut counts = [0usize; 256];
            for label in rows.clone().flat_map(|start| &mask.labels[start..start + size]) {
                counts[usize::from(*label)] += 1;
            }
            counts[usize::from(IGNORE)] = 0;
            // The first of equally frequent classes.
            let class = (0..=u8::MAX).rev().max_by_key(|&class| counts[usize::from(class)]);
            let Some(class) = class.filter(|&class| counts[usize::from(class)] > 0) else { continue };
            let pixels = rows.flat_map(|start| &image.pixels[start * channels..(start + size) * channels]);
            self.patches.push(Micrograph { width: size, height: size, channels, pixels: pixels.copied().collect() });
            self.classes.push(class);
            self.images.push(index);
        }
    }

    /// The balanced accuracy (mean over the classes) of a k-NN vote among patches of *other* images. Chance is one over
    /// the number of classes. Features are from the last stage, with running statistics.
    ///
    /// # Errors
    /// If the patches do not fit the encoder.
    pub(super) fn accuracy(&self, encoder: &Encoder, parameters: &Parameters) -> Result<f64> {
        let mut features = Vec::new();
        for batch in self.patches.chunks(BATCH) {
            let size = batch.first().map_or(0, |patch| patch.width);
            let tiling = Tiling::new(size, size, size, 0.0);
            let channels = batch.iter().map(|patch| patch.channels).max().unwrap_or(1);
            let mut patches = TileBatch::new(size, channels);
            batch.iter().for_each(|patch| patches.push(&tiling, 0, patch, 0));
            let tiles = Batches::on(parameters.device(), encoder.config().in_channels())?.tiles(&patches)?;
            let pixels = tiles.normalized(parameters, normalization())?;
            let tape = Tape::new(parameters, Mode::Eval);
            let last = encoder.deepest(&tape, ENCODER, &tape.input(&pixels)?)?;
            features.push(tape.global_average_pool(&last)?.tensor().to_device(&Device::Cpu)?.to_dtype(DType::F64)?);
        }
        let directions = normalize(&Tensor::cat(&features, 0)?)?;
        let transposed = directions.t()?;
        let mut predicted = Vec::with_capacity(self.patches.len());
        // A few rows at a time, because the full matrix grows with the square of the number of patches.
        for first in (0..self.patches.len()).step_by(ROWS) {
            let rows = directions.narrow(0, first, ROWS.min(self.patches.len() - first))?;
            let cosines: Vec<Vec<f64>> = rows.matmul(&transposed)?.to_vec2()?;
            predicted.extend(cosines.iter().zip(first..).map(|(cosines, patch)| self.vote(patch, cosines)));
        }
        Ok(self.balanced(&predicted))
    }

    /// The class of `patch` by a vote of the nearest patches of other images.
    fn vote(&self, patch: usize, cosines: &[f64]) -> u8 {
        let mut others: Vec<usize> =
            (0..cosines.len()).filter(|&other| self.images[other] != self.images[patch]).collect();
        let nearest_first = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        if others.len() > NEIGHBOURS {
            others.select_nth_unstable_by(NEIGHBOURS, nearest_first);
            others.truncate(NEIGHBOURS);
        }
        // A fixed order, so that sums are bit-identical.
        others.sort_unstable_by(nearest_first);
        let mut votes = [0.0; 256];
        for &other in &others {
            votes[usize::from(self.classes[other])] += ((cosines[other] - 1.0) / TEMPERATURE).exp();
        }
        (0..=u8::MAX).rev().max_by(|&a, &b| votes[usize::from(a)].total_cmp(&votes[usize::from(b)])).unwrap_or(0)
    }

    /// The balanced accuracy of the predicted classes: the mean over the classes of the fraction that is right.
    fn balanced(&self, predicted: &[u8]) -> f64 {
        let mut right = [0usize; 256];
        let mut all = [0usize; 256];
        for (&class, &vote) in self.classes.iter().zip(predicted) {
            all[usize::from(class)] += 1;
            right[usize::from(class)] += usize::from(vote == class);
        }
        let present = || (0..256).filter(|&class| all[class] > 0);
        present().map(|class| right[class] as f64 / all[class] as f64).sum::<f64>() / present().count().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_cannot_give_two_classes_are_refused_before_they_are_read() {
        use crate::data::synthesize::{SynthesizeParams, outline};
        let images = |train, val| outline(&SynthesizeParams { size: 64, train, val, ..Default::default() });
        check(&images(1, 1), "steel", 64, 3).unwrap();
        assert!(check(&images(1, 1), "steel", 65, 3).unwrap_err().contains("patches of 65 pixels in data set steel"));
        assert!(check(&images(1, 0), "steel", 32, 3).is_err(), "one image");
        let mut mono = images(2, 0);
        mono.images.iter_mut().for_each(|entry| entry.class_pixels = vec![0, 9, 0, 0]);
        assert!(check(&mono, "steel", 32, 3).is_err(), "one class");
    }

    #[test]
    fn a_patch_has_its_most_frequent_class_and_ignored_patches_are_left_out() {
        let image = Micrograph { width: 7, height: 4, channels: 1, pixels: (0..28).collect() };
        #[rustfmt::skip]
        let labels = vec![
            0, 0, 3, 3, 255, 255, 9,
            0, 3, 3, 0, 255, 255, 9,
            1, 1, 2, 2, 255, 4, 9,
            1, 1, 2, 2, 255, 255, 9,
        ];
        let mask = Mask { width: 7, height: 4, labels };
        let mut monitor = Monitor { patches: Vec::new(), classes: Vec::new(), images: Vec::new() };
        monitor.add(3, &image, &mask, 2);
        assert_eq!(monitor.classes, [0, 3, 1, 2, 4]);
        assert_eq!(monitor.images, [3; 5]);
        assert_eq!(monitor.patches[3].pixels, [16, 17, 23, 24]);
    }

    #[test]
    fn neighbours_of_the_same_image_do_not_vote_and_classes_have_equal_weight() {
        // Two images with two classes each. The nearest patch is always of the same image and the other class. Among
        // the patches of the other image, the nearest has the same class, except for the last patch.
        let blank = Micrograph { width: 1, height: 1, channels: 1, pixels: vec![0] };
        let monitor = Monitor { patches: vec![blank; 4], classes: vec![0, 1, 0, 1], images: vec![0, 0, 1, 1] };
        let cosines = [[1.0, 0.9, 0.8, 0.1], [0.9, 1.0, 0.1, 0.8], [0.8, 0.1, 1.0, 0.9], [0.5, 0.4, 0.9, 1.0]];
        let votes: Vec<u8> = cosines.iter().enumerate().map(|(patch, row)| monitor.vote(patch, row)).collect();
        assert_eq!(votes, [0, 1, 0, 0]);
        assert_eq!(monitor.balanced(&votes), (1.0 + 0.5) / 2.0);
    }
}
