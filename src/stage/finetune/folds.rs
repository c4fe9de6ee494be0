//! `folds`: cross-validation. The training images are divided into parts, each of which validates one training.
//!
//! A data set's own validation images are never among them: what was set aside there stays untouched by every training, so that scores
//! on it, and the search for leaks, keep their meaning.

use super::Finetune;
use crate::data::Entry;
use crate::experiment::Division;
use crate::metrics::{Fold, SelectedOn};
use crate::random::Stream;
use std::collections::BTreeMap;

impl Finetune {
    /// The part that this training is validated on.
    pub(in crate::stage) fn fold(&self) -> Option<Fold> {
        Some(Fold { index: self.fold?.get(), of: self.folds?.get() })
    }

    /// Checks `folds` and `fold`.
    ///
    /// # Errors
    /// The parameter and the message.
    pub(super) fn check_folds(&self) -> Result<(), (&'static str, String)> {
        let most = Division::MOST;
        let Some(folds) = self.folds.map(|folds| folds.get()) else {
            return match self.fold {
                Some(_) => Err(("fold", "has no effect without `folds`: set `folds = 5`, or remove it".to_owned())),
                None => Ok(()),
            };
        };
        if !(2..=most).contains(&folds) {
            return Err(("folds", format!("{folds} is out of range: 2 to {most}, e.g. 5")));
        }
        match self.fold.map(|fold| fold.get()) {
            Some(fold) if fold > folds => {
                return Err(("fold", format!("{fold} is more than `folds`: expected 1 to {folds}")));
            }
            Some(_) => {}
            None => return Err(("folds", format!("a single training needs `fold`, its number from 1 to {folds}"))),
        }
        if self.val_fraction.is_some() {
            let message =
                "both `folds` and `val_fraction` take validation images from the training images: remove one".into();
            return Err(("val_fraction", message));
        }
        if self.select_on == SelectedOn::Test {
            let message = "has no effect with `select_on = \"test\"`, which validates on the test images".into();
            return Err(("folds", message));
        }
        Ok(())
    }
}

/// The images of the part `fold` of `images`, and all others, in their order.
///
/// # Errors
/// A message with the numbers, if there are fewer images, or specimens, than parts. `name` is that of the data set.
pub(super) fn split<'m>(
    images: Vec<&'m Entry>,
    fold: Fold,
    name: &str,
) -> Result<(Vec<&'m Entry>, Vec<&'m Entry>), String> {
    let specimens: Vec<Option<&str>> = images.iter().map(|entry| entry.specimen.as_deref()).collect();
    let pixels: Vec<&[u64]> = images.iter().map(|entry| entry.class_pixels.as_slice()).collect();
    let units = units(&specimens);
    if units.len() < fold.of {
        let what = if specimens.iter().any(Option::is_some) { "specimens" } else { "training images with masks" };
        return Err(format!(
            "`folds = {}` needs at least as many {what}, but data set {name} has {}: set fewer `folds`, or add images",
            fold.of,
            units.len()
        ));
    }
    let parts = divide(&units, &pixels, fold.of);
    let is_own = |index: usize| parts[index] + 1 == fold.index;
    let (own, others) = images.into_iter().enumerate().partition::<Vec<_>, _>(|(index, _)| is_own(*index));
    let entries = |numbered: Vec<(usize, &'m Entry)>| numbered.into_iter().map(|(_, entry)| entry).collect();
    Ok((entries(own), entries(others)))
}

/// The images that stay together: those of a specimen, and each image without one by itself.
fn units(specimens: &[Option<&str>]) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (image, specimen) in specimens.iter().enumerate() {
        let unit = specimen.map_or(units.len(), |specimen| *known.entry(specimen).or_insert(units.len()));
        units.resize(units.len().max(unit + 1), Vec::new());
        units[unit].push(image);
    }
    units
}

/// The part of each image, from 0. Units are dealt out, large ones and those with much of a rare class first, each to a part with the
/// fewest images; among these to the one that has the least of the unit's classes. So parts are as large as each other to within a
/// unit, and have all classes where that is easy.
fn divide(units: &[Vec<usize>], pixels: &[&[u64]], parts: usize) -> Vec<usize> {
    let classes = pixels.iter().map(|pixels| pixels.len()).max().unwrap_or(0);
    let of = |image: usize, class: usize| pixels[image].get(class).copied().unwrap_or(0) as f64;
    let totals: Vec<f64> =
        (0..classes).map(|class| (0..pixels.len()).map(|image| of(image, class)).sum::<f64>().max(1.0)).collect();
    // Share of each class that a unit has.
    let shares: Vec<Vec<f64>> = units
        .iter()
        .map(|unit| (0..classes).map(|c| unit.iter().map(|&image| of(image, c)).sum::<f64>() / totals[c]).collect())
        .collect();
    let most = |unit: usize| shares[unit].iter().copied().fold(0.0, f64::max);
    // A fixed seed, so that compared models are validated on the same images.
    let mut order = Stream::new(0, "folds", 0, 0).permutation(units.len());
    order.sort_by(|&a, &b| units[b].len().cmp(&units[a].len()).then(most(b).total_cmp(&most(a))));
    let mut of_image = vec![0; pixels.len()];
    let mut counts = vec![0usize; parts];
    let mut held = vec![vec![0.0; classes]; parts];
    for unit in order {
        let common = |part: usize| held[part].iter().zip(&shares[unit]).map(|(held, own)| held * own).sum::<f64>();
        let nearer = |&a: &usize, &b: &usize| counts[a].cmp(&counts[b]).then(common(a).total_cmp(&common(b)));
        let part = (0..parts).min_by(nearer).unwrap_or(0);
        counts[part] += units[unit].len();
        held[part].iter_mut().zip(&shares[unit]).for_each(|(held, own)| *held += own);
        units[unit].iter().for_each(|&image| of_image[image] = part);
    }
    of_image
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TOY, parse};
    use super::*;
    use crate::experiment::ParamError;

    fn refused(text: &str) -> (&'static str, String) {
        match &mut parse::<Finetune>(&format!("{TOY}{text}")).unwrap_err()[..] {
            [ParamError::Check { param, message }] => (param, std::mem::take(message)),
            errors => panic!("{errors:?}"),
        }
    }

    #[test]
    fn folds_are_checked_with_the_parameters_that_they_exclude() {
        let stage = parse::<Finetune>(&format!("{TOY}folds = 5\nfold = 2\n")).unwrap();
        assert_eq!(stage.fold(), Some(Fold { index: 2, of: 5 }));
        assert_eq!(refused("fold = 2\n").0, "fold");
        assert_eq!(refused("folds = 1\nfold = 1\n"), ("folds", "1 is out of range: 2 to 20, e.g. 5".into()));
        assert_eq!(refused("folds = 21\n").0, "folds");
        assert_eq!(refused("folds = 3\nfold = 4\n"), ("fold", "4 is more than `folds`: expected 1 to 3".into()));
        assert_eq!(refused("folds = 3\n").0, "folds");
        let (param, message) = refused("folds = 3\nfold = 1\nval_fraction = 0.2\n");
        assert!(param == "val_fraction" && message.ends_with("remove one"), "{message}");
        assert_eq!(refused("folds = 3\nfold = 1\nselect_on = 'test'\n").0, "folds");
        let json = serde_json::to_string(&parse::<Finetune>(TOY).unwrap()).unwrap();
        assert!(!json.contains("fold"), "keys stay as they were: {json}");
    }

    #[test]
    fn parts_are_even_and_whole_specimens() {
        let names: Vec<String> = (0..23).map(|i| format!("s{}", i * i % 7)).collect();
        let specimens: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let pixels = vec![&[10u64, 20][..]; 23];
        let units = units(&specimens);
        let parts = divide(&units, &pixels, 4);
        for unit in &units {
            assert!(unit.iter().all(|&image| parts[image] == parts[unit[0]]));
        }
        assert!((0..4).all(|part| parts.contains(&part)));
        let alone = divide(&super::units(&[None; 23]), &pixels, 4);
        let count = |part: usize| alone.iter().filter(|&&own| own == part).count();
        assert_eq!((0..4).map(count).collect::<Vec<_>>(), [6, 6, 6, 5]);
    }

    #[test]
    fn a_rare_class_is_in_as_many_parts_as_it_can() {
        // Three of twelve images have the rare class.
        let (with, without) = ([50u64, 50], [100u64, 0]);
        let pixels: Vec<&[u64]> = (0..12).map(|i| if i < 3 { &with[..] } else { &without[..] }).collect();
        let parts = divide(&units(&[None; 12]), &pixels, 3);
        let mut rare = parts[..3].to_vec();
        rare.sort_unstable();
        assert_eq!(rare, [0, 1, 2]);
    }
}
