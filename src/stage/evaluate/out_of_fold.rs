//! `split = "out-of-fold"`: each training image is predicted by the model of the fold that was not trained on it.

use super::super::artifacts::ReferenceFile;
use super::super::encoder::MODEL;
use super::super::outlook::Outlook;
use super::super::{InputFiles, Known, StageError};
use super::part::Part;
use crate::data::{Entry, Manifest, Micrograph};
use crate::metrics::Fold;
use matssl_predict::reference::{GreyStatistics, ImageStatistics, ValidationImage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cure of everything that is wrong with the models.
const CURE: &str = "name a stage with `folds`, all of them, or set another `split`";

/// Checks that there is one model for each fold of one cross-validation: `folds` are those of the models, by label.
///
/// # Errors
/// What is missing, and the cure.
pub(super) fn check_folds<'a>(folds: impl IntoIterator<Item = (&'a str, Option<Fold>)>) -> Result<(), String> {
    let mut found: BTreeMap<usize, &str> = BTreeMap::new();
    let mut of = None;
    let wrong = |what: String| Err(format!("`split = \"{}\"`: {what}: {CURE}", Part::OUT_OF_FOLD));
    for (label, fold) in folds {
        let Some(fold) = fold else {
            return wrong(format!("{label} was trained without `folds`"));
        };
        let all = *of.get_or_insert(fold.of);
        if all != fold.of {
            return wrong(format!("{label} is of {} folds, the model before it of {all}", fold.of));
        }
        if let Some(other) = found.insert(fold.index, label) {
            return wrong(format!("{other} and {label} are both fold {}", fold.index));
        }
    }
    let all = of.unwrap_or_default();
    match (1..=all).find(|index| !found.contains_key(index)) {
        Some(missing) => wrong(format!("fold {missing} of {all} is not among the models")),
        None => Ok(()),
    }
}

/// The problem with `entries` of the data set `name` that is known before the run: the folds were trained on another data set.
pub(super) fn foreseen(known: &Known<'_>, manifest: &Arc<Manifest>, entries: &[&Entry], name: &str) -> Option<String> {
    let own = |input| match Outlook::of(input) {
        Some(Outlook::Training { seen, .. }) => seen.last(),
        _ => None,
    };
    let mut trained = known.inputs(MODEL).filter_map(own);
    trained.find_map(|seen| seen.first_unknown(manifest, entries)).map(|image| other_data(image, name).to_string())
}

/// Which model predicts each image.
pub(super) struct OutOfFold {
    /// By image: the model's number, and what the training knows of the image.
    images: BTreeMap<String, (usize, Vec<GreyStatistics>)>,
}

impl OutOfFold {
    /// From what the trainings of `models` left of their validation images; `entries` of the data set `name` are the images.
    ///
    /// # Errors
    /// An image that no training, or more than one, was validated on; a model of an older program.
    pub(super) fn of(models: &[InputFiles], entries: &[&Entry], name: &str) -> Result<Self, StageError> {
        let mut images = BTreeMap::new();
        for (number, model) in models.iter().enumerate() {
            let reference = ReferenceFile::read(model)?.ok_or_else(|| {
                let why = "does not say which images it was validated on, because an older program trained it";
                StageError::BadData(format!("{} {why}: train it again (`--force {}`)", model.label, model.label))
            })?;
            for ValidationImage { image, statistics, .. } in reference.validation {
                if images.insert(image.clone(), (number, statistics)).is_some() {
                    return Err(StageError::BadData(format!("{image} is in the parts of two folds: {CURE}")));
                }
            }
        }
        match entries.iter().find(|entry| !images.contains_key(&entry.image)) {
            Some(entry) => Err(other_data(&entry.image, name)),
            None => Ok(OutOfFold { images }),
        }
    }

    /// The number of the model that predicts `entry` of the data set `name`.
    ///
    /// # Errors
    /// If `image` is not the image that the training knows under this name.
    pub(super) fn model(&self, entry: &Entry, image: &Micrograph, name: &str) -> Result<usize, StageError> {
        match self.images.get(&entry.image) {
            Some((model, known)) if is_same(known, &ImageStatistics::of(image)) => Ok(*model),
            _ => Err(other_data(&entry.image, name)),
        }
    }
}

fn other_data(image: &str, name: &str) -> StageError {
    StageError::BadData(format!(
        "no fold was validated on {image} of data set {name}: evaluate on the data set that the folds were trained on"
    ))
}

/// Whether statistics are of the same pixels, up to their digits in a file.
fn is_same(known: &[GreyStatistics], found: &[GreyStatistics]) -> bool {
    let values = |of: &GreyStatistics| [of.mean, of.contrast, of.dark, of.bright, of.noise];
    let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let pairs = || known.iter().zip(found).flat_map(|(known, found)| values(known).into_iter().zip(values(found)));
    known.len() == found.len() && pairs().all(near)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dataset, reference};
    use super::*;
    use crate::data::Split;
    use crate::stage::open_dataset;

    #[test]
    fn the_models_are_those_of_all_folds() {
        let check = |folds: &[(usize, usize)]| {
            let fold = |&(index, of): &(usize, usize)| ("segment", Some(Fold { index, of }));
            check_folds(folds.iter().map(fold))
        };
        assert_eq!(check(&[(2, 3), (1, 3), (3, 3)]), Ok(()));
        let ending = ": name a stage with `folds`, all of them, or set another `split`";
        for (folds, what) in [
            (&[(1, 3), (3, 3)][..], "fold 2 of 3 is not among the models"),
            (&[(1, 3), (1, 3)], "segment and segment are both fold 1"),
            (&[(1, 3), (2, 4)], "segment is of 4 folds, the model before it of 3"),
        ] {
            assert_eq!(check(folds).unwrap_err(), format!("`split = \"out-of-fold\"`: {what}{ending}"));
        }
        let without = check_folds([("plain", None)]).unwrap_err();
        assert!(without.contains("plain was trained without `folds`"), "{without}");
    }

    #[test]
    fn an_image_is_predicted_by_the_model_that_was_validated_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = open_dataset(&dataset(folder.path())).unwrap();
        let entries = dataset.entries(Split::Test);
        let known = |image: &str| {
            let path = folder.path().join(format!("{}.safetensors", image.replace('/', "-")));
            reference(image).write(&path).unwrap();
            let files = [(ReferenceFile::FILE.to_owned(), path)].into();
            InputFiles { label: "segment.fold1".into(), seed: None, files, source: None }
        };
        let models = [known("x/b.png"), known("x/a.png")];
        let parts = OutOfFold::of(&models, &entries, "steel").unwrap();
        let (image, _) = dataset.read(entries[0]).unwrap();
        assert_eq!(parts.model(entries[0], &image, "steel").unwrap(), 1);
        assert_eq!(parts.model(entries[1], &image, "steel").unwrap(), 0);
        // Other pixels under a known name.
        let other = Micrograph { pixels: vec![3; image.pixels.len()], ..image };
        let error = parts.model(entries[0], &other, "steel").unwrap_err().to_string();
        assert!(error.starts_with("no fold was validated on x/a.png of data set steel"), "{error}");
        let error = OutOfFold::of(&models[1..], &entries, "steel").err().unwrap().to_string();
        assert!(error.starts_with("no fold was validated on x/b.png of data set steel"), "{error}");
        let twice = [known("x/b.png"), known("x/b.png")];
        let error = OutOfFold::of(&twice, &entries, "steel").err().unwrap().to_string();
        assert!(error.contains("x/b.png is in the parts of two folds"), "{error}");
        let mut old = known("x/b.png");
        old.files.clear();
        let error = OutOfFold::of(&[old], &entries, "steel").err().unwrap().to_string();
        assert!(error.contains("train it again (`--force segment.fold1`)"), "{error}");
    }
}
