//! The scores of single images.

use super::Confusion;
use super::file_error::FileError;
use std::path::Path;

/// The scores of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScores {
    /// Path inside the data set.
    pub image: String,
    /// See [`Confusion::miou`].
    pub miou: Option<f64>,
    /// See [`Confusion::mean_dice`].
    pub mean_dice: Option<f64>,
    /// See [`Confusion::pixel_accuracy`].
    pub pixel_accuracy: Option<f64>,
    /// IoU of each class.
    pub iou: Vec<Option<f64>>,
}

impl ImageScores {
    /// The table that a stage leaves, a row for each image.
    pub const FILE: &'static str = "per_image.csv";

    /// Writes [`ImageScores::FILE`] into `folder`, with the names of the classes in its header. Scores are shares; a missing
    /// one is an empty cell.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write_all(folder: &Path, classes: &[String], images: &[ImageScores]) -> Result<(), FileError> {
        let path = folder.join(ImageScores::FILE);
        let write = || -> csv::Result<()> {
            let mut writer = csv::Writer::from_path(&path)?;
            let header = ["image", "miou", "mean_dice", "pixel_accuracy"].map(str::to_owned).into_iter();
            writer.write_record(header.chain(classes.iter().map(|class| format!("iou_{class}"))))?;
            for scores in images {
                let means = [scores.miou, scores.mean_dice, scores.pixel_accuracy].into_iter();
                let shares = means.chain(scores.iou.iter().copied());
                let cells = shares.map(|share| share.map_or_else(String::new, |share| share.to_string()));
                writer.write_record(std::iter::once(scores.image.clone()).chain(cells))?;
            }
            Ok(writer.flush()?)
        };
        write().map_err(|error| FileError::of(&path)(error.into()))
    }

    /// The scores of one image's matrix.
    pub fn new(image: &str, confusion: &Confusion, ignored: &[u8]) -> ImageScores {
        ImageScores {
            image: image.to_owned(),
            miou: confusion.miou(ignored),
            mean_dice: confusion.mean_dice(ignored),
            pixel_accuracy: confusion.pixel_accuracy(),
            iou: (0..confusion.classes()).map(|class| confusion.iou(class)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_image() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 1, 1], &[0, 1, 1, 1], None).unwrap();
        let classes = ["matrix", "austenite", "pore"].map(String::from);
        let folder = tempfile::tempdir().unwrap();
        let images = ["x/a.png", "x/b.png"].map(|image| ImageScores::new(image, &confusion, &[1]));
        ImageScores::write_all(folder.path(), &classes, &images).unwrap();
        let row = "0.5,0.6666666666666666,0.75,0.5,0.6666666666666666,";
        assert_eq!(
            std::fs::read_to_string(folder.path().join("per_image.csv")).unwrap(),
            format!(
                "image,miou,mean_dice,pixel_accuracy,iou_matrix,iou_austenite,iou_pore\nx/a.png,{row}\nx/b.png,{row}\n"
            )
        );
        let error = ImageScores::write_all(&folder.path().join("none"), &classes, &images).unwrap_err().to_string();
        assert!(error.contains("per_image.csv: No such file"), "{error}");
    }
}
