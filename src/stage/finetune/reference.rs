//! The reference that a fine-tuning leaves beside its weights.

use super::super::artifacts::Selection;
use super::super::segmentation::Segmentation;
use crate::data::tiles::Tiling;
use crate::data::{IGNORE, Mask, Micrograph};
use crate::metrics::{CalibrationSample, Confusion};
use crate::train::embeddings;
use crate::train::inference::predict;
use anyhow::Result;
use matssl_predict::reference::{ImageStatistics, KnownImage, Reference};

/// Largest number of patches of the training images whose embeddings are kept, and of tiles of the validation images that are
/// compared with them.
const MOST_PATCHES: usize = 512;

/// Largest number of patches in a forward pass: as in predictions.
const BATCH: [usize; 2] = [4, 32];

/// Paths of the images in the data set, in the order of the samples.
pub(super) struct Names {
    pub(super) training: Vec<String>,
    pub(super) validation: Vec<String>,
}

/// The reference of `task`, whose parameters are the ones that are kept. Test images are in no part of it: a training that was
/// validated on them has a reference without validation images.
///
/// Validation images are predicted as in the validation. If they chose the epoch, temperature and errors are slightly too good.
pub(super) fn of(task: &Segmentation, names: Names, selection: &Selection) -> Result<Reference> {
    let classes = task.class_names.len();
    let validation: &[(Micrograph, Mask)] = if selection.on_test() { &[] } else { &task.validation.samples };
    let mut sample = CalibrationSample::new(classes, Some(IGNORE));
    let mut matrices = Vec::new();
    for (image, truth) in validation {
        let predicted = predict(&task.network, &task.parameters, image, task.crop_size(), task.validation.overlap)?;
        let mut confusion = Confusion::new(classes);
        confusion.add(&truth.labels, &predicted.mask.labels, Some(IGNORE))?;
        sample.add(&predicted.probabilities, &truth.labels);
        matrices.push(confusion);
    }
    let calibration = sample.fit();
    drop(sample);
    let training = known(task, names.training, &task.samples)?;
    let validation = known(task, names.validation, validation)?.into_iter().zip(matrices).collect();
    let sides = (task.crop_size(), channels(task));
    let ignored = &task.validation.ignore_classes;
    let reference = Reference::new(task.class_names.clone(), ignored, training, validation, calibration, sides);
    let without_validation = reference.validation.is_empty().then(|| {
        let why = if selection.on_test() {
            "the epochs were validated on the test images, which must not calibrate a model"
        } else {
            "the data set has no validation images"
        };
        why.to_owned()
    });
    Ok(Reference { without_validation, ..reference })
}

/// Channels of the encoder's last stage.
fn channels(task: &Segmentation) -> usize {
    let [.., last] = crate::nn::Encoder::new(task.network.config().encoder.clone()).channels();
    last
}

/// Statistics of each image, and embeddings of tiles that are evenly spread over all images.
fn known(task: &Segmentation, names: Vec<String>, samples: &[(Micrograph, Mask)]) -> Result<Vec<KnownImage>> {
    let size = task.crop_size();
    let tilings: Vec<Tiling> =
        samples.iter().map(|(image, _)| Tiling::new(image.width, image.height, size, 0.0)).collect();
    let all: Vec<(usize, usize)> = tilings
        .iter()
        .enumerate()
        .flat_map(|(image, tiling)| (0..tiling.corners.len()).map(move |i| (image, i)))
        .collect();
    let count = all.len().min(MOST_PATCHES);
    let kept: Vec<(usize, usize)> = (0..count).map(|i| all[i * all.len() / count]).collect();
    let tiles: Vec<_> = kept.iter().map(|&(image, i)| (&tilings[image], &samples[image].0, i)).collect();
    // No more than in a batch of the training, whose memory was admitted.
    let batch = BATCH[usize::from(!task.parameters.device().is_cpu())].min(task.batch_size);
    let values = embeddings(&task.network, &task.parameters, &tiles, batch)?;
    let mut images: Vec<KnownImage> = names
        .into_iter()
        .zip(samples)
        .map(|(image, (pixels, _))| KnownImage {
            image,
            statistics: ImageStatistics::of(pixels),
            embeddings: Vec::new(),
        })
        .collect();
    for (&(image, _), values) in kept.iter().zip(values.chunks_exact(channels(task))) {
        images[image].embeddings.extend(values);
    }
    Ok(images)
}
