//! What a training leaves beside its weights.

use super::grey::{MEASURES, Measure, NOISE};
use super::range::LEAST_IMAGES;
use super::{FeatureDistance, GreyStatistics, UsualRange};
use matssl_metrics::{Calibration, Confusion};
use serde::{Deserialize, Serialize};

/// What a training leaves beside its weights: how its probabilities are calibrated, its errors on the validation images, and what its
/// training images look like.
///
/// All of it is from training and validation images, never from test images. Validation images that also chose the epoch make
/// calibration and errors slightly too good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// [`Reference::VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// Names of the classes, in the order of the network's outputs.
    pub classes: Vec<String>,
    /// The temperature, fitted on the validation images; `None` without such images or with too few pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Each validation image; empty if there are none.
    pub validation: Vec<ValidationImage>,
    /// Why there are no validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_validation: Option<String>,
    /// Scores on the validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ValidationScores>,
    /// Each training image.
    pub training: Vec<TrainingImage>,
    /// For each measured channel, the usual range of mean, contrast, dark, bright and noise; `None` with fewer than 3 known images.
    pub usual: Vec<Option<[UsualRange; 5]>>,
    /// Side of the patches whose embeddings are kept, in pixels.
    pub patch_size: usize,
    /// Length of an embedding: channels of the encoder's last stage.
    pub channels: usize,
    /// How far features of known images are from the patches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<FeatureDistance>,
    /// Embeddings of patches of the training images, in their order: means of the encoder's last stage, `[patches, channels]`.
    #[serde(skip)]
    pub embeddings: Vec<f32>,
}

/// A validation image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationImage {
    /// Its path in the data set.
    pub image: String,
    /// By channel.
    pub statistics: Vec<GreyStatistics>,
    /// Pixels by true and predicted class.
    pub confusion: Confusion,
}

/// Scores on the validation images, pooled over the pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationScores {
    /// Number of images.
    pub images: usize,
    /// Mean IoU over the classes that count.
    pub miou: Option<f64>,
    /// IoU by class.
    pub iou: Vec<Option<f64>>,
    /// Fraction of the pixels that are right.
    pub pixel_accuracy: Option<f64>,
}

/// A training image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingImage {
    /// Its path in the data set.
    pub image: String,
    /// By channel.
    pub statistics: Vec<GreyStatistics>,
    /// Number of its patches in [`Reference::embeddings`].
    pub patches: usize,
}

/// An image that a training knows.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownImage {
    /// Its path in the data set.
    pub image: String,
    /// By channel.
    pub statistics: Vec<GreyStatistics>,
    /// Of some of its tiles, `[tiles, channels]`.
    pub embeddings: Vec<f32>,
}

impl Reference {
    /// The version of the format that this program writes. It reads this one and all before.
    pub const VERSION: u32 = 1;

    /// The reference of a training on the images `training`, validated on the images `validation`. Embeddings are of tiles of
    /// `patch_size` pixels and have `channels` values. `ignored` are the classes that the mean IoU leaves out.
    pub fn new(
        classes: Vec<String>,
        ignored: &[u8],
        training: Vec<KnownImage>,
        validation: Vec<(KnownImage, Confusion)>,
        calibration: Option<Calibration>,
        (patch_size, channels): (usize, usize),
    ) -> Self {
        let known: Vec<&KnownImage> = training.iter().chain(validation.iter().map(|(image, _)| image)).collect();
        let measured = known.first().map_or(0, |image| image.statistics.len());
        let usual = (0..measured).map(|channel| {
            let range = |measure: usize| {
                let Measure { of, by_ratio, most, .. } = MEASURES[measure];
                let values: Vec<f64> = known.iter().filter_map(|image| image.statistics.get(channel)).map(of).collect();
                UsualRange::new(&values, by_ratio, most)
            };
            Some([range(0)?, range(1)?, range(2)?, range(3)?, range(4)?])
        });
        let usual = usual.collect();
        let of_training: Vec<&[f32]> = training.iter().map(|image| image.embeddings.as_slice()).collect();
        let of_validation: Vec<&[f32]> = validation.iter().map(|(image, _)| image.embeddings.as_slice()).collect();
        let distance = FeatureDistance::new(&of_training, &of_validation, channels);
        let mut all = Confusion::new(classes.len());
        validation.iter().for_each(|(_, confusion)| all.merge(confusion));
        let scores = (!validation.is_empty()).then(|| ValidationScores {
            images: validation.len(),
            miou: all.miou(ignored),
            iou: (0..classes.len()).map(|class| all.iou(class)).collect(),
            pixel_accuracy: all.pixel_accuracy(),
        });
        let embeddings = training.iter().flat_map(|image| image.embeddings.iter().copied()).collect();
        let patches = |image: &KnownImage| image.embeddings.len() / channels.max(1);
        let of_training = |image: KnownImage| {
            let patches = patches(&image);
            TrainingImage { image: image.image, statistics: image.statistics, patches }
        };
        let of_validation = |(image, confusion): (KnownImage, Confusion)| ValidationImage {
            image: image.image,
            statistics: image.statistics,
            confusion,
        };
        Reference {
            format_version: Self::VERSION,
            classes,
            calibration,
            validation: validation.into_iter().map(of_validation).collect(),
            without_validation: None,
            scores,
            training: training.into_iter().map(of_training).collect(),
            usual,
            patch_size,
            channels,
            distance,
            embeddings,
        }
    }

    /// How far the features of the training images are from each other.
    pub(super) fn distance_of_training(&self) -> Option<FeatureDistance> {
        let mut rest = self.embeddings.as_slice();
        let mut images = Vec::new();
        for image in &self.training {
            let (own, others) = rest.split_at_checked(image.patches.checked_mul(self.channels)?)?;
            images.push(own);
            rest = others;
        }
        FeatureDistance::new(&images, &[], self.channels)
    }

    /// The confusion matrix of each validation image.
    pub fn confusions(&self) -> Vec<Confusion> {
        self.validation.iter().map(|image| image.confusion.clone()).collect()
    }

    /// How an image with `statistics` (by channel) and `embedding` (the mean over its tiles, `[channels]`) is unlike the images
    /// that the training knows: a sentence for each difference; none for a usual image. `is_scaled` says that the models saw the image
    /// at another size of pixels than its statistics were taken at. Then its noise is not judged, because noise depends on that
    /// size.
    pub fn judge(&self, statistics: &[GreyStatistics], embedding: Option<&[f32]>, is_scaled: bool) -> Vec<String> {
        let mut found = Vec::new();
        let known = self.training.len() + self.validation.len();
        for (channel, (grey, usual)) in statistics.iter().zip(&self.usual).enumerate() {
            let of_channel = if statistics.len() > 1 { format!(" of channel {channel}") } else { String::new() };
            let judged = MEASURES.iter().zip(usual.iter().flatten());
            for (measure, range) in judged.filter(|(measure, _)| !(is_scaled && measure.name == NOISE)) {
                let value = (measure.of)(grey);
                if !range.has(value, measure.by_ratio) {
                    let [least, most] = range.known.map(short);
                    let [low, high] = range.usual.map(short);
                    found.push(format!(
                        "{}{of_channel} {}: the {known} training and validation images have {least} to {most}, and {low} to \
                         {high} would be usual",
                        measure.name,
                        short(value)
                    ));
                }
            }
        }
        if let (Some(distance), Some(embedding)) = (&self.distance, embedding)
            && embedding.len() == self.channels
            && let Some(excess) = distance.excess(embedding, &self.embeddings)
        {
            found.push(format!(
                "its features are {excess:.1} times as far from the training patches as those of the most unusual training or \
                 validation image",
            ));
        }
        found
    }

    /// How unusual images are found, in sentences.
    pub fn rule(&self) -> String {
        let (training, validation) = (self.training.len(), self.validation.len());
        let known = format!("{training} training and {validation} validation images");
        let grey = if self.usual.iter().any(Option::is_some) {
            format!(
                "Grey levels are unusual outside of the 99.9 % prediction interval of the {known}, widened to hold all of them. Noise is not \
                 judged in images that are scaled to the model's size of pixels."
            )
        } else {
            format!("Grey levels are not judged, because {known} are fewer than {LEAST_IMAGES}.")
        };
        let features = match self.distance {
            Some(FeatureDistance { farthest, limit, images }) => format!(
                "Features (an image's mean over its tiles) are unusual farther than {limit:.3} from the nearest training patch: the \
                 farthest of {images} training and validation images is at {farthest:.3} (a training image from the patches of \
                 the others), and a quarter more is allowed."
            ),
            None => "Features are not judged, because there is no second image to compare with.".to_owned(),
        };
        format!("{grey} {features}")
    }
}

/// Three digits are enough to compare by eye.
fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests;
