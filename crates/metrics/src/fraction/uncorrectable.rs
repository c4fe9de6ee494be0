//! Why fractions cannot be corrected.

use super::correction::{Correction, Corrector};
use crate::Confusion;

/// Why there are no corrected fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncorrectable {
    /// There are no validation images with pixels.
    NoImages,
    /// The model does not tell these two classes from each other in the validation images.
    Alike([usize; 2]),
    /// No validation image has the class `missing`, and in them the model takes the class `taken` for it.
    Missing {
        /// In no validation image.
        missing: usize,
        /// Predicted as `missing`.
        taken: usize,
    },
}

impl Uncorrectable {
    /// Why [`fractions`](super::fractions) corrects no fraction of `classes` classes by `validation`; `None` if it does.
    pub fn of(classes: usize, validation: &[Confusion]) -> Option<Self> {
        if Corrector::new(Correction::default(), classes, validation).is_some() {
            return None;
        }
        let mut all = Confusion::new(classes);
        validation.iter().filter(|image| image.classes() == classes).for_each(|image| all.merge(image));
        if all.total() == 0 {
            return Some(Uncorrectable::NoImages);
        }
        // How pixels of a class are predicted; a class without pixels counts as always right.
        let share = |class: usize, predicted: usize| match all.truth(class) {
            0 => f64::from(u8::from(class == predicted)),
            pixels => all.count(class, predicted) as f64 / pixels as f64,
        };
        let distance = |&[a, b]: &[usize; 2]| (0..classes).map(|i| (share(a, i) - share(b, i)).abs()).sum::<f64>();
        let pairs = (0..classes).flat_map(|a| (a + 1..classes).map(move |b| [a, b]));
        let [a, b] = pairs.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        Some(match (all.truth(a), all.truth(b)) {
            (0, _) => Uncorrectable::Missing { missing: a, taken: b },
            (_, 0) => Uncorrectable::Missing { missing: b, taken: a },
            _ => Uncorrectable::Alike([a, b]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(counts: [[u64; 3]; 3]) -> Confusion {
        let rows: Vec<Vec<u64>> = counts.iter().map(|row| row.to_vec()).collect();
        serde_json::from_value(serde_json::json!(rows)).unwrap()
    }

    #[test]
    fn the_reason_names_the_classes() {
        let of = |counts| Uncorrectable::of(3, &[confusion(counts)]);
        assert_eq!(of([[9, 1, 0], [0, 8, 2], [0, 0, 5]]), None);
        assert_eq!(of([[9, 1, 0], [0, 5, 5], [0, 2, 2]]), Some(Uncorrectable::Alike([1, 2])));
        let missing = Uncorrectable::Missing { missing: 1, taken: 2 };
        assert_eq!(of([[9, 1, 0], [0, 0, 0], [0, 4, 0]]), Some(missing));
        assert_eq!(of([[0; 3]; 3]), Some(Uncorrectable::NoImages));
        assert_eq!(Uncorrectable::of(3, &[]), Some(Uncorrectable::NoImages));
    }
}
