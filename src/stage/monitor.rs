//! An encoder in training, watched by what it makes of labelled patches: is a patch's class that of its nearest neighbours?

use super::StageError;
use super::errors::data_error;
use crate::data::augment::normalization;
use crate::data::patches::{Edge, positions};
use crate::data::tiles::Tiling;
use crate::data::{IGNORE, Mask, Micrograph, OpenDataset, Split};
use crate::nn::{Mode, Parameters, ResNet, Tape};
use crate::ssl::{ENCODER, normalize};
use crate::train::Batches;
use anyhow::Result;
use candle_core::{DType, Device, Tensor};

/// The history's column.
pub(super) const COLUMN: &str = "knn_accuracy";

/// Neighbours that vote, and the temperature by which their cosines weigh: Caron et al. 2021 (*DINO*), section 4.1, and Wu et
/// al. 2018 (*Instance Discrimination*), section 3.4.
const NEIGHBOURS: usize = 20;
const TEMPERATURE: f64 = 0.07;

/// Patches that go through the encoder together.
const BATCH: usize = 16;
/// Patches that are compared with all others at a time.
const ROWS: usize = 64;

/// Patches of labelled images, cut edge to edge.
pub(super) struct Monitor {
    patches: Vec<Micrograph>,
    /// The most frequent class of each patch.
    classes: Vec<u8>,
    /// Which image each patch is from.
    images: Vec<usize>,
}

impl Monitor {
    /// Patches of `size` pixels of the training and validation images that have masks; never of test images.
    ///
    /// # Errors
    /// If an image cannot be read, or fewer than two images or classes have patches.
    pub(super) fn open(dataset: &OpenDataset, size: usize) -> Result<Self, StageError> {
        let mut monitor = Monitor { patches: Vec::new(), classes: Vec::new(), images: Vec::new() };
        let entries = [Split::Train, Split::Val].into_iter().flat_map(|split| dataset.entries(split));
        for (index, entry) in entries.enumerate() {
            if let (image, Some(mask)) = dataset.read(entry).map_err(data_error)? {
                monitor.add(index, &image, &mask, size);
            }
        }
        let several = |of: &mut dyn Iterator<Item = usize>| of.collect::<std::collections::BTreeSet<_>>().len() > 1;
        let classes = several(&mut monitor.classes.iter().map(|&class| class.into()));
        if !classes || !several(&mut monitor.images.iter().copied()) {
            return Err(StageError::BadData(format!(
                "`monitor`: fewer than two labelled training or validation images with patches of {size} pixels, or only one \
                 class in them: there is nothing to tell apart; choose another data set or leave it out"
            )));
        }
        Ok(monitor)
    }

    fn add(&mut self, index: usize, image: &Micrograph, mask: &Mask, size: usize) {
        let (width, channels) = (image.width, image.channels);
        let places = |length| positions(length, size, 0.0, Edge::Drop);
        for (top, left) in places(image.height).into_iter().flat_map(|y| places(width).into_iter().map(move |x| (y, x)))
        {
            let rows = (top..top + size).map(|y| y * width + left);
            let mut counts = [0usize; 256];
            for label in rows.clone().flat_map(|start| &mask.labels[start..start + size]) {
                counts[usize::from(*label)] += 1;
            }
            counts[usize::from(IGNORE)] = 0;
            // Of equally frequent classes the first.
            let class = (0..=u8::MAX).rev().max_by_key(|&class| counts[usize::from(class)]);
            let Some(class) = class.filter(|&class| counts[usize::from(class)] > 0) else { continue };
            let pixels = rows.flat_map(|start| &image.pixels[start * channels..(start + size) * channels]);
            self.patches.push(Micrograph { width: size, height: size, channels, pixels: pixels.copied().collect() });
            self.classes.push(class);
            self.images.push(index);
        }
    }

    /// The mean over the classes of the share of patches whose class is what their nearest neighbours in *other* images say:
    /// chance is one over the number of classes. Features are those of the last stage, with running statistics.
    ///
    /// # Errors
    /// If the patches do not fit the encoder.
    pub(super) fn accuracy(&self, encoder: &ResNet, parameters: &Parameters) -> Result<f64> {
        let mut features = Vec::new();
        for batch in self.patches.chunks(BATCH) {
            let size = batch.first().map_or(0, |patch| patch.width);
            let whole = Tiling::new(size, size, size, 0.0);
            let patches: Vec<_> = batch.iter().map(|patch| (&whole, patch, 0)).collect();
            let pixels = Batches::on(parameters.device())?.tiles(&patches)?.normalized(parameters, normalization())?;
            let tape = Tape::new(parameters, Mode::Eval);
            let [.., last] = encoder.features(&tape, ENCODER, &tape.input(&pixels)?)?;
            features.push(tape.global_average_pool(&last)?.tensor().to_device(&Device::Cpu)?.to_dtype(DType::F64)?);
        }
        let directions = normalize(&Tensor::cat(&features, 0)?)?;
        let transposed = directions.t()?;
        let mut said = Vec::with_capacity(self.patches.len());
        // A few rows of the table at a time: whole, it would grow with the square of the patches.
        for first in (0..self.patches.len()).step_by(ROWS) {
            let rows = directions.narrow(0, first, ROWS.min(self.patches.len() - first))?;
            let cosines: Vec<Vec<f64>> = rows.matmul(&transposed)?.to_vec2()?;
            said.extend(cosines.iter().zip(first..).map(|(cosines, patch)| self.vote(patch, cosines)));
        }
        Ok(self.balanced(&said))
    }

    /// The class that the nearest patches of other images give to `patch`.
    fn vote(&self, patch: usize, cosines: &[f64]) -> u8 {
        let mut others: Vec<usize> =
            (0..cosines.len()).filter(|&other| self.images[other] != self.images[patch]).collect();
        let nearest_first = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        if others.len() > NEIGHBOURS {
            others.select_nth_unstable_by(NEIGHBOURS, nearest_first);
            others.truncate(NEIGHBOURS);
        }
        // In a fixed order, so that sums are the same bits.
        others.sort_unstable_by(nearest_first);
        let mut votes = [0.0; 256];
        for &other in &others {
            votes[usize::from(self.classes[other])] += ((cosines[other] - 1.0) / TEMPERATURE).exp();
        }
        (0..=u8::MAX).rev().max_by(|&a, &b| votes[usize::from(a)].total_cmp(&votes[usize::from(b)])).unwrap_or(0)
    }

    /// The mean over the classes of the share of their patches that `said` is right about.
    fn balanced(&self, said: &[u8]) -> f64 {
        let mut right = [0usize; 256];
        let mut all = [0usize; 256];
        for (&class, &said) in self.classes.iter().zip(said) {
            all[usize::from(class)] += 1;
            right[usize::from(class)] += usize::from(said == class);
        }
        let present = || (0..256).filter(|&class| all[class] > 0);
        present().map(|class| right[class] as f64 / all[class] as f64).sum::<f64>() / present().count().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_of_their_most_frequent_class_and_ignored_ones_are_left_out() {
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
    fn neighbours_of_the_same_image_have_no_vote_and_classes_count_alike() {
        // Two images with two classes each; every patch lies nearest to the other class of its own image, but among the
        // other image's patches to its own class, except the last.
        let blank = Micrograph { width: 1, height: 1, channels: 1, pixels: vec![0] };
        let monitor = Monitor { patches: vec![blank; 4], classes: vec![0, 1, 0, 1], images: vec![0, 0, 1, 1] };
        let cosines = [[1.0, 0.9, 0.8, 0.1], [0.9, 1.0, 0.1, 0.8], [0.8, 0.1, 1.0, 0.9], [0.5, 0.4, 0.9, 1.0]];
        let said: Vec<u8> = cosines.iter().enumerate().map(|(patch, row)| monitor.vote(patch, row)).collect();
        assert_eq!(said, [0, 1, 0, 0]);
        assert_eq!(monitor.balanced(&said), (1.0 + 0.5) / 2.0);
    }
}
