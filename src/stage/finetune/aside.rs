//! Which training images are set aside to choose the epoch by.

use crate::random::Stream;
use std::collections::{BTreeMap, BTreeSet};

/// The `fraction` of images (each by its specimen, where that is known) to validate on; their indices. Whole specimens, in
/// random order, as long as each brings their number nearer to the wanted one.
///
/// # Errors
/// If that leaves nothing on one side; says so with the numbers.
pub(super) fn choose(fraction: f64, specimens: &[Option<&str>]) -> Result<BTreeSet<usize>, String> {
    let wanted = (specimens.len() as f64 * fraction).round() as usize;
    if wanted == 0 || wanted == specimens.len() {
        return Err(format!(
            "val_fraction = {fraction} sets {wanted} of {} training images aside: one at least must be on either side",
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
    // Not the experiment's seed: what is compared shall be validated on the same images.
    for unit in Stream::new(0, "val_fraction", 0, 0).permutation(units.len()) {
        let with = chosen.len() + units[unit].len();
        if with.abs_diff(wanted) < chosen.len().abs_diff(wanted) && with < specimens.len() {
            chosen.extend(&units[unit]);
        }
    }
    if chosen.is_empty() {
        return Err(format!(
            "val_fraction = {fraction} asks for {wanted} of {} training images, too few for any whole one of their {} \
             specimens: name `val_images`, or say `select_on = \"last\"`",
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
    fn without_specimens_the_first_of_a_random_order() {
        let order = Stream::new(0, "val_fraction", 0, 0).permutation(10);
        assert_eq!(choose(0.3, &[None; 10]).unwrap(), order[..3].iter().copied().collect());
    }

    #[test]
    fn a_specimen_is_never_on_both_sides() {
        let names: Vec<String> = (0..40).map(|i| format!("s{}", i * i % 11)).collect();
        let specimens: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
        for percent in 15..85 {
            let chosen = choose(f64::from(percent) / 100.0, &specimens).unwrap();
            let of = |aside: bool| -> BTreeSet<_> {
                (0..40).filter(|i| chosen.contains(i) == aside).map(|i| specimens[i]).collect()
            };
            assert!(of(true).is_disjoint(&of(false)), "{percent} %");
            assert!(!of(true).is_empty() && !of(false).is_empty());
        }
    }

    #[test]
    fn what_cannot_be_divided_is_said() {
        assert!(choose(0.1, &[None; 3]).unwrap_err().contains("sets 0 of 3 training images aside"));
        let error = choose(0.2, &[Some("a"); 10]).unwrap_err();
        assert!(error.contains("2 of 10 training images, too few for any whole one of their 1 specimens"), "{error}");
    }
}
