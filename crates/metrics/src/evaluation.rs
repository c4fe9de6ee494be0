//! All scores of one model on one set of images.

use super::file_error::FileError;
use super::{
    Averaging, BoundaryScores, Calibration, Confusion, Fold, Overlap, SpecimenScores, SurfaceScores, majority,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The images by which the epoch was chosen whose weights are the model's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SelectedOn {
    /// The validation images.
    #[default]
    Val,
    /// The test images, as in the paper: the scores are then too high.
    Test,
    /// No images: the weights are those of the last epoch.
    Last,
}

/// The scores of one class, shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The class's name.
    pub name: String,
    /// Whether the class is left out of the means.
    pub ignored: bool,
    /// See [`Confusion::iou`].
    pub iou: Option<f64>,
    /// See [`Confusion::dice`].
    pub dice: Option<f64>,
    /// See [`Confusion::precision`].
    pub precision: Option<f64>,
    /// See [`Confusion::recall`].
    pub recall: Option<f64>,
    /// Share of the class in all pixels of the truth.
    pub truth_share: f64,
}

/// The scores, on the same images, of predicting the training masks' most frequent class everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MajorityScores {
    /// Name of that class.
    pub class: String,
    /// See [`Confusion::miou`].
    pub miou: Option<f64>,
    /// IoU of each class, in the order of the classes.
    pub iou: Vec<Option<f64>>,
    /// See [`Confusion::mean_dice`].
    pub mean_dice: Option<f64>,
    /// See [`Confusion::pixel_accuracy`].
    pub pixel_accuracy: Option<f64>,
}

/// mIoU over the images by one definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MiouBy {
    /// The definition.
    pub name: Averaging,
    /// The definition in words.
    pub definition: String,
    /// Number of images in a batch, if the definition has batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// mIoU of the model.
    pub miou: Option<f64>,
    /// mIoU of predicting the training masks' most frequent class everywhere.
    pub majority: Option<f64>,
}

/// All scores of one model on one set of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which images: `"test"`, `"val"`, `"train"`, or `"out-of-fold"`: training images, each scored by a model that was validated on it.
    pub split: String,
    /// Number of images.
    pub images: usize,
    /// How the model's epoch was chosen.
    pub selected_on: SelectedOn,
    /// See [`Confusion::miou`].
    pub miou: Option<f64>,
    /// See [`Confusion::mean_dice`].
    pub mean_dice: Option<f64>,
    /// See [`Confusion::pixel_accuracy`].
    pub pixel_accuracy: Option<f64>,
    /// In the order of the labels.
    pub classes: Vec<ClassScores>,
    /// `None` if the data set has no training masks.
    pub majority: Option<MajorityScores>,
    /// mIoU by each [`Averaging`]; empty without [`Evaluation::with_images`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub miou_by: Vec<MiouBy>,
    /// How well the probabilities agree with frequencies on these images, before and after the model's temperature; `None` for a
    /// model without a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Boundary IoU, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<BoundaryScores>,
    /// Surface Dice, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<SurfaceScores>,
    /// Scores of the specimens, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specimens: Option<SpecimenScores>,
    /// The fold that the model was trained in, if it is of a cross-validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// Number of models whose probabilities were averaged, if they were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<usize>,
    /// Number of copies of each tile whose probabilities were averaged, if there was test-time augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<usize>,
    /// Number of labelled images that a single model was trained on, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
}

impl Evaluation {
    /// The file that a stage leaves.
    pub const FILE: &'static str = "metrics.json";

    /// Writes [`Evaluation::FILE`] into `folder`: JSON, the same bytes for the same scores.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let path = folder.join(Evaluation::FILE);
        let write = || {
            let mut json = serde_json::to_vec_pretty(self)?;
            json.push(b'\n');
            std::fs::write(&path, json)
        };
        write().map_err(FileError::of(&path))
    }

    /// Reads the file `path`, which [`Evaluation::write`] wrote.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be read or has another content.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let read = || Ok(serde_json::from_slice(&std::fs::read(path)?)?);
        read().map_err(FileError::of(path))
    }

    /// The scores of `confusion`, pooled over `images` images. `classes` are the names by label, `ignored` the labels
    /// left out of the means, `train_class_pixels` each class's pixels in the training masks.
    pub fn new(
        confusion: &Confusion,
        classes: &[String],
        ignored: &[u8],
        train_class_pixels: &[u64],
        split: &str,
        images: usize,
        selected_on: SelectedOn,
    ) -> Evaluation {
        let total = confusion.total().max(1) as f64;
        let class = |(label, name): (usize, &String)| ClassScores {
            name: name.clone(),
            ignored: ignored.iter().any(|&i| usize::from(i) == label),
            iou: confusion.iou(label),
            dice: confusion.dice(label),
            precision: confusion.precision(label),
            recall: confusion.recall(label),
            truth_share: confusion.truth(label) as f64 / total,
        };
        let most = majority(train_class_pixels).filter(|&most| most < classes.len());
        Evaluation {
            split: split.to_owned(),
            images,
            selected_on,
            miou: confusion.miou(ignored),
            mean_dice: confusion.mean_dice(ignored),
            pixel_accuracy: confusion.pixel_accuracy(),
            classes: classes.iter().enumerate().map(class).collect(),
            majority: most.map(|most| {
                let constant = confusion.constant(most);
                MajorityScores {
                    class: classes[most].clone(),
                    miou: constant.miou(ignored),
                    iou: (0..classes.len()).map(|label| constant.iou(label)).collect(),
                    mean_dice: constant.mean_dice(ignored),
                    pixel_accuracy: constant.pixel_accuracy(),
                }
            }),
            miou_by: Vec::new(),
            calibration: None,
            boundary: None,
            surface: None,
            specimens: None,
            fold: None,
            models: None,
            copies: None,
            train_images: None,
        }
    }

    /// Adds mIoU by every [`Averaging`], from the matrix of each image in the order of the data set, with `batch`
    /// images a batch.
    pub fn with_images(mut self, images: &[Confusion], batch: usize) -> Evaluation {
        let ignored: Vec<u8> =
            (0..=u8::MAX).zip(&self.classes).filter(|(_, class)| class.ignored).map(|(label, _)| label).collect();
        let overlaps = |image: &Confusion| image.overlaps(&ignored);
        let model: Vec<Vec<Overlap>> = images.iter().map(overlaps).collect();
        let majority = self.majority.as_ref().and_then(|majority| {
            let class = self.classes.iter().position(|class| class.name == majority.class)?;
            Some(images.iter().map(|image| overlaps(&image.constant(class))).collect::<Vec<_>>())
        });
        let by = |name: Averaging| MiouBy {
            name,
            definition: name.definition(batch),
            batch: (name == Averaging::Batches).then_some(batch),
            miou: name.miou(model.iter().map(Vec::as_slice), batch),
            majority: majority.as_ref().and_then(|images| name.miou(images.iter().map(Vec::as_slice), batch)),
        };
        self.miou_by = Averaging::ALL.map(by).to_vec();
        self
    }

    /// mIoU by the definition `name`, of the model and of the majority class. Old files hold only the pooled mIoU.
    pub fn miou_by(&self, name: Averaging) -> (Option<f64>, Option<f64>) {
        match self.miou_by.iter().find(|by| by.name == name) {
            Some(by) => (by.miou, by.majority),
            None if name == Averaging::Pooled => (self.miou, self.majority.as_ref().and_then(|m| m.miou)),
            None => (None, None),
        }
    }

    /// Whether `other` was measured on the same pixels, judged by classes, split, number of images and the classes' shares. Only
    /// then can the scores be compared.
    pub fn same_images(&self, other: &Evaluation) -> bool {
        let truth = |e: &Evaluation| {
            e.classes.iter().map(|c| (c.name.clone(), c.ignored, c.truth_share.to_bits())).collect::<Vec<_>>()
        };
        self.split == other.split && self.images == other.images && truth(self) == truth(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(truth: &[u8], prediction: &[u8]) -> Evaluation {
        let mut confusion = Confusion::new(3);
        confusion.add(truth, prediction, None).unwrap();
        let classes = ["matrix", "austenite", "defect"].map(String::from);
        Evaluation::new(&confusion, &classes, &[2], &[10, 90, 5], "test", 1, SelectedOn::Val)
    }

    #[test]
    fn the_json_is_stable_and_is_read_back() {
        let scores = evaluation(&[0, 0, 1, 1], &[0, 1, 1, 1]);
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"split":"test","images":1,"selected_on":"val","miou":0.5833333333333333,"#,
                r#""mean_dice":0.7333333333333334,"pixel_accuracy":0.75,"classes":["#,
                r#"{"name":"matrix","ignored":false,"iou":0.5,"dice":0.6666666666666666,"precision":1.0,"recall":0.5,"truth_share":0.5},"#,
                r#"{"name":"austenite","ignored":false,"iou":0.6666666666666666,"dice":0.8,"precision":0.6666666666666666,"recall":1.0,"truth_share":0.5},"#,
                r#"{"name":"defect","ignored":true,"iou":null,"dice":null,"precision":null,"recall":null,"truth_share":0.0}],"#,
                r#""majority":{"class":"austenite","miou":0.25,"iou":[0.0,0.5,null],"mean_dice":0.3333333333333333,"pixel_accuracy":0.5}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), scores);
        let folder = tempfile::tempdir().unwrap();
        scores.write(folder.path()).unwrap();
        let path = folder.path().join("metrics.json");
        assert_eq!(Evaluation::read(&path).unwrap(), scores);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\n  \"split\": \"test\",\n") && text.ends_with("\n}\n"), "{text}");
        std::fs::write(&path, &text[..40]).unwrap();
        let error = Evaluation::read(&path).unwrap_err().to_string();
        assert!(error.contains("metrics.json: EOF while parsing"), "{error}");
    }

    #[test]
    fn miou_is_given_by_each_definition_and_the_pooled_one_agrees() {
        let images = [(&[0u8, 0, 1, 1][..], &[0u8, 1, 1, 1][..]), (&[0, 0], &[0, 1])].map(|(truth, prediction)| {
            let mut confusion = Confusion::new(3);
            confusion.add(truth, prediction, None).unwrap();
            confusion
        });
        let scores = evaluation(&[0, 0, 1, 1, 0, 0], &[0, 1, 1, 1, 0, 1]).with_images(&images, 1);
        assert_eq!(scores.miou_by(Averaging::Pooled), (scores.miou, scores.majority.as_ref().unwrap().miou));
        // Of the images: model (1/2 + 2/3) / 2 and (1/2 + 0) / 2; always austenite (0 + 1/2) / 2 and (0 + 0) / 2.
        let [of_images, of_batches] = [Averaging::Images, Averaging::Batches].map(|name| scores.miou_by(name));
        assert!((of_images.0.unwrap() - (7.0 / 12.0 + 0.25) / 2.0).abs() < 1e-15);
        assert_eq!(of_images.1, Some(0.125));
        assert_eq!(of_batches, of_images, "both counted classes are in each image");
        let json = serde_json::to_value(&scores).unwrap();
        assert_eq!(json["miou_by"][2]["name"], "batches");
        assert_eq!(json["miou_by"][2]["batch"], 1);
        assert!(json["miou_by"][0]["definition"].as_str().unwrap().starts_with("IoU of each class from the pixels of"));
        assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), scores);
    }

    #[test]
    fn the_same_images_are_recognized_by_their_truth() {
        let one = evaluation(&[0, 0, 1, 1], &[0, 1, 1, 1]);
        assert!(one.same_images(&evaluation(&[0, 0, 1, 1], &[1, 1, 0, 2])));
        assert!(!one.same_images(&evaluation(&[0, 1, 1, 1], &[0, 1, 1, 1])));
    }
}
