//! Definitions of mIoU over several images, named after what is averaged.

use super::Confusion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number of images in a batch of the authors' evaluation (`eval_model.py`).
pub const AUTHORS_BATCH: usize = 128;

/// How one mIoU is computed from the images of a set. Ignored classes are in no mean. Pixels with unknown truth are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Averaging {
    /// IoU of each class from the pixels of all images together, then the mean over the classes that are in the truth
    /// or the prediction of any image (smp's `macro` without absent classes, torchmetrics' `JaccardIndex`).
    #[default]
    Pooled,
    /// mIoU of each image, over the classes in its truth or prediction, then the mean over the images that have one
    /// (torchmetrics' functional `mean_iou` of each image; its class `MeanIoU` weighs images by their classes instead).
    Images,
    /// mIoU of each batch of images (in the order of the data set, the last may be smaller) from its pooled pixels, a
    /// class in neither truth nor prediction counting as 0, then the mean over the batches: as the authors' code
    /// (`utils/evaluations/evaluate.py`).
    Batches,
}

impl Averaging {
    /// All definitions, the default first.
    pub const ALL: [Averaging; 3] = [Averaging::Pooled, Averaging::Images, Averaging::Batches];

    /// The definition in a sentence, for a reader of the numbers.
    pub fn definition(self, batch: usize) -> String {
        match self {
            Averaging::Pooled => {
                "IoU of each class from the pixels of all images together, then the mean over the classes; a class in \
                 neither truth nor prediction of any image is left out"
                    .into()
            }
            Averaging::Images => "mIoU of each image, then the mean over the images; a class in neither truth nor \
                                  prediction of an image is left out there"
                .into(),
            Averaging::Batches => format!(
                "mIoU of each batch of {batch} images, then the mean over the batches; a class in neither truth nor \
                 prediction of a batch counts as 0 there"
            ),
        }
    }

    /// The mIoU of `images`, each as the [`Overlap`] of its counted classes, with `batch` (at least 1) images a batch;
    /// `None` without images, or where no class has a pixel.
    pub fn miou<'a>(self, images: impl Iterator<Item = &'a [Overlap]>, batch: usize) -> Option<f64> {
        let mut pooled: Vec<Overlap> = Vec::new();
        let add = |image: &[Overlap], pooled: &mut Vec<Overlap>| {
            pooled.resize(image.len(), Overlap::default());
            for (sum, overlap) in pooled.iter_mut().zip(image) {
                sum.both += overlap.both;
                sum.either += overlap.either;
            }
        };
        match self {
            Averaging::Pooled => {
                images.for_each(|image| add(image, &mut pooled));
                mean(pooled.iter().filter_map(|overlap| overlap.iou()))
            }
            Averaging::Images => mean(images.filter_map(|image| mean(image.iter().filter_map(|o| o.iou())))),
            Averaging::Batches => {
                let (mut scores, mut in_batch) = (Vec::new(), 0);
                let score = |pooled: &mut Vec<Overlap>| {
                    let score = mean(pooled.iter().map(|overlap| overlap.iou().unwrap_or(0.0)));
                    pooled.clear();
                    score
                };
                for image in images {
                    add(image, &mut pooled);
                    in_batch += 1;
                    if in_batch == batch.max(1) {
                        scores.push(score(&mut pooled));
                        in_batch = 0;
                    }
                }
                if in_batch > 0 {
                    scores.push(score(&mut pooled));
                }
                mean(scores.into_iter().flatten())
            }
        }
    }
}

/// The pixel counts of one class from which its IoU follows. They add up over images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Pixels of the class in truth and prediction.
    pub both: u64,
    /// Pixels of the class in either.
    pub either: u64,
}

impl Overlap {
    /// IoU; `None` without pixels.
    fn iou(self) -> Option<f64> {
        (self.either > 0).then(|| self.both as f64 / self.either as f64)
    }
}

impl Confusion {
    /// The [`Overlap`] of each class that is not in `ignored`, by label.
    pub fn overlaps(&self, ignored: &[u8]) -> Vec<Overlap> {
        let counted = (0..self.classes()).filter(|&class| !ignored.iter().any(|&i| usize::from(i) == class));
        let overlap = |class: usize| {
            let both = self.count(class, class);
            Overlap { both, either: self.truth(class) + self.prediction(class) - both }
        };
        counted.map(overlap).collect()
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0usize);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(truth: &[u8], prediction: &[u8]) -> Confusion {
        let mut confusion = Confusion::new(3);
        confusion.add(truth, prediction, None).unwrap();
        confusion
    }

    fn miou(averaging: Averaging, images: &[Confusion], ignored: &[u8], batch: usize) -> Option<f64> {
        let overlaps: Vec<Vec<Overlap>> = images.iter().map(|image| image.overlaps(ignored)).collect();
        averaging.miou(overlaps.iter().map(Vec::as_slice), batch)
    }

    #[test]
    fn by_hand() {
        // IoU of classes 0, 1: first image 1/2, 2/3; second 1, none; class 2 nowhere.
        let images = [image(&[0, 0, 1, 1], &[0, 1, 1, 1]), image(&[0, 0], &[0, 0])];
        let close = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-15, "{found:?}");
        close(miou(Averaging::Pooled, &images, &[], 1), (3.0 / 4.0 + 2.0 / 3.0) / 2.0);
        close(miou(Averaging::Images, &images, &[], 1), ((1.0 / 2.0 + 2.0 / 3.0) / 2.0 + 1.0) / 2.0);
        close(miou(Averaging::Batches, &images, &[], 1), ((1.0 / 2.0 + 2.0 / 3.0) / 3.0 + 1.0 / 3.0) / 2.0);
        close(miou(Averaging::Batches, &images, &[], 128), (3.0 / 4.0 + 2.0 / 3.0) / 3.0);
        close(miou(Averaging::Batches, &images, &[2], 2), (3.0 / 4.0 + 2.0 / 3.0) / 2.0);
        for averaging in Averaging::ALL {
            assert_eq!(miou(averaging, &[], &[], 2), None);
            assert_eq!(miou(averaging, &images, &[0, 1, 2], 2), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pooled_miou_is_that_of_the_summed_matrix_and_the_mean_of_one_image_is_its_own(
            images in prop::collection::vec(prop::collection::vec((0u8..3, 0u8..3), 1..40), 1..6), ignored in 0u8..4
        ) {
            let images: Vec<Confusion> = images.into_iter().map(|pairs| {
                let (truth, prediction): (Vec<u8>, Vec<u8>) = pairs.into_iter().unzip();
                image(&truth, &prediction)
            }).collect();
            let mut all = Confusion::new(3);
            images.iter().for_each(|image| all.merge(image));
            prop_assert_eq!(miou(Averaging::Pooled, &images, &[ignored], 1), all.miou(&[ignored]));
            prop_assert_eq!(miou(Averaging::Images, &images[..1], &[ignored], 1), images[0].miou(&[ignored]));
        }
    }
}
