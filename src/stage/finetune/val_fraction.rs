//! `val_fraction`: chooses the training images that are used for validation.

use crate::random::Stream;
use std::collections::{BTreeMap, BTreeSet};

/// Chooses about `fraction` of the images for validation and returns their indices. `specimens` has the specimen of
/// each image, if known. Adds undivided specimens in random order, each if it brings the count nearer to the fraction.
///
/// # Errors
/// A message with the numbers, if no image remains on one side.
pub(super) fn choose(fraction: f64, specimens: &[Option<&str>]) -> Result<BTreeSet<usize>, String> {
    let wanted = (specimens.len() as f64 * fraction).round() as usize;
    if wanted == 0 || wanted == specimens.len() {
        return Err(format!(
            "val_fraction = {fraction} selects {wanted} of {} training images for validation: expected at least one, \
             and at least one for training",
            specimens.len()
        ));
    }
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, specimen) in specimens.iter().enumerate() {
        let unit = specimen.map_or(units.len(), |specimen| *known.entry(specimen).or_insert(units.len()));
        units.resize(units.len().max(unit + 1), Vec::new());
        units[unit].push(i);
    }
    let mut chosen = BTreeSet::new();
    // A fixed seed, so that compared models are validated on the same images.
    for unit in Stream::new(0, "val_fraction", 0, 0).permutation(units.len()) {
        let with = chosen.len() + units[unit].len();
        if with.abs_diff(wanted) < chosen.len().abs_diff(wanted) && with < specimens.len() {
            chosen.extend(&units[unit]);
        }
    }
    if chosen.is_empty() {
        return Err(format!(
            "val_fraction = {fraction} selects {wanted} of {} training images, too few for a whole specimen \
             (number of specimens: {}): set `val_images`, or `select_on = \"last\"`",
            specimens.len(),
            units.len()
        ));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_specimens_are_chosen_in_random_order() {
        let order = Stream::new(0, "val_fraction", 0, 0).permutation(10);
        assert_eq!(choose(0.3, &[None; 10]).unwrap(), order[..3].iter().copied().collect());
    }

    #[test]
    fn no_specimen_is_on_both_sides() {
        let names: Vec<String> = (0..40).map(|i| format!("s{}", i * i % 11)).collect();
        let specimens: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
        for percent in 15..85 {
            let chosen = choose(f64::from(percent) / 100.0, &specimens).unwrap();
            let side = |is_chosen: bool| -> BTreeSet<_> {
                (0..40).filter(|i| chosen.contains(i) == is_chosen).map(|i| specimens[i]).collect()
            };
            assert!(side(true).is_disjoint(&side(false)), "{percent} %");
            assert!(!side(true).is_empty() && !side(false).is_empty());
        }
    }

    #[test]
    fn a_fraction_that_leaves_one_side_empty_is_an_error() {
        assert!(choose(0.1, &[None; 3]).unwrap_err().contains("selects 0 of 3 training images for validation"));
        let error = choose(0.2, &[Some("a"); 10]).unwrap_err();
        assert!(
            error.contains("2 of 10 training images, too few for a whole specimen (number of specimens: 1)"),
            "{error}"
        );
    }
}
