//! mIoU over the number of labelled images.

use crate::metrics::SelectedOn;
use crate::report::curve::{Curve, Over, Series};
use crate::stage::table::{by_label, read_evaluation};
use crate::stage::{InputFiles, StageError};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with an evaluation of several models.
pub(super) fn several(label: &str) -> String {
    format!(
        "{label}: the number of labelled images is known of single models only; name evaluations without `ensemble` and `split = \
         \"out-of-fold\"`"
    )
}

/// One line for each label, through the evaluations that have it.
///
/// # Errors
/// [`StageError::BadData`] if an evaluation is of several models, if two of one label and seed are of one number of images, or if they
/// are of different splits.
pub(super) fn curve(title: Option<String>, inputs: &[InputFiles]) -> Result<Curve, StageError> {
    let (mut series, mut splits) = (Vec::new(), BTreeSet::new());
    for (label, evaluations) in by_label(inputs) {
        let mut seeds: BTreeMap<Option<u64>, BTreeMap<u64, f64>> = BTreeMap::new();
        let mut chosen_on_test = false;
        for input in evaluations {
            let evaluation = read_evaluation(input)?;
            chosen_on_test |= evaluation.split == "test" && evaluation.selected_on == SelectedOn::Test;
            splits.insert(evaluation.split);
            let images = evaluation.train_images.ok_or_else(|| StageError::BadData(several(label)))?;
            let points = seeds.entry(input.seed).or_default();
            let Some(miou) = evaluation.miou else { continue };
            if points.insert(images as u64, miou).is_some() {
                let message = format!(
                    "{label}: two evaluations of one seed are of models with {images} labelled images; give each its own label"
                );
                return Err(StageError::BadData(message));
            }
        }
        let line = Series::new(label, &seeds.into_values().collect::<Vec<_>>());
        series.push(Series { on_test: chosen_on_test, ..line });
    }
    if splits.len() > 1 {
        let splits: Vec<String> = splits.into_iter().collect();
        let message =
            format!("the rows are scored on different images: {}; draw a figure of each", splits.join(" and "));
        return Err(StageError::BadData(message));
    }
    let metric = if splits.contains("test") { "test_miou" } else { "miou" };
    Ok(Curve { title, metric: metric.into(), over: Over::LabelledImages, series })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Evaluation;
    use crate::stage::evaluate::tests::evaluation_files;
    use std::path::Path;

    /// An evaluation of a model that was trained on `images` images.
    fn row(folder: &Path, label: &str, seed: u64, images: Option<usize>, prediction: &[u8]) -> InputFiles {
        let folder = folder.join(format!("{images:?}"));
        let input = evaluation_files(&folder, label, Some(seed), prediction);
        let file = input.file(Evaluation::FILE).unwrap();
        let evaluation = Evaluation { train_images: images, ..Evaluation::read(file).unwrap() };
        evaluation.write(file.parent().unwrap()).unwrap();
        input
    }

    #[test]
    fn a_line_runs_through_the_numbers_of_images_of_its_label() {
        let folder = tempfile::tempdir().unwrap();
        // Truth 0, 0, 1, 1: mIoU 1, 7/12 and 1/4.
        let (right, half, wrong) = ([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]);
        let rows = [
            row(folder.path(), "MatSSL", 0, Some(4), &right),
            row(folder.path(), "MatSSL", 0, Some(1), &half),
            row(folder.path(), "MatSSL", 1, Some(4), &half),
            row(folder.path(), "MatSSL", 1, Some(1), &half),
            row(folder.path(), "random", 0, Some(4), &half),
            row(folder.path(), "random", 0, Some(1), &wrong),
        ];
        let found = curve(Some("t".into()), &rows).unwrap();
        let lines = found.csv().unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        let half = (0.5 + 2.0 / 3.0) / 2.0;
        assert_eq!(lines[0], "series,labelled_images,mean,std,n");
        assert_eq!(lines[1], format!("MatSSL,1,{half},0,2"));
        assert!(lines[2].starts_with(&format!("MatSSL,4,{},", (1.0 + half) / 2.0)), "{lines:?}");
        assert_eq!(lines[3..], ["random,1,0.25,,1".to_owned(), format!("random,4,{half},,1")]);
        assert!(found.svg().contains("test mIoU (%)"));

        let again = [row(folder.path(), "x", 0, Some(4), &right), row(folder.path(), "x", 0, Some(4), &right)];
        let error = curve(None, &again).unwrap_err().to_string();
        assert_eq!(
            error,
            "x: two evaluations of one seed are of models with 4 labelled images; give each its own label"
        );
        let error = curve(None, &[row(folder.path(), "x", 0, None, &right)]).unwrap_err().to_string();
        assert!(error.contains("name evaluations without `ensemble`"), "{error}");

        let input = row(folder.path(), "optimistic", 0, Some(4), &right);
        let file = input.file(Evaluation::FILE).unwrap().to_path_buf();
        let evaluation = Evaluation { selected_on: SelectedOn::Test, ..Evaluation::read(&file).unwrap() };
        evaluation.write(file.parent().unwrap()).unwrap();
        assert!(curve(None, std::slice::from_ref(&input)).unwrap().series[0].on_test);
        Evaluation { split: "val".into(), ..evaluation }.write(file.parent().unwrap()).unwrap();
        let mixed = curve(None, &[input, row(folder.path(), "y", 0, Some(4), &right)]).unwrap_err().to_string();
        assert_eq!(mixed, "the rows are scored on different images: test and val; draw a figure of each");
    }
}
