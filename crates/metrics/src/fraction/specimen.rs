//! The area fraction of each class in a specimen, of which several fields were taken.

use super::{BlockCounts, ClassFraction, fractions};
use crate::Confusion;
use serde::{Deserialize, Serialize};

/// The area fraction of a class in a specimen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecimenFraction {
    /// Number of fields.
    pub fields: usize,
    /// Mean over the fields with its interval: see [`fractions`].
    pub fraction: ClassFraction,
    /// Standard deviation between the fields of the raw fraction, with divisor n − 1; `None` for one field.
    pub deviation: Option<f64>,
}

/// The area fraction of each class in the specimen with the fields `fields`; fields of different sizes have weights by their area.
/// `validation` has the confusion matrix of each validation image.
pub fn specimen_fractions(fields: &[&BlockCounts], validation: &[Confusion]) -> Vec<SpecimenFraction> {
    let shares: Vec<Vec<f64>> = fields.iter().map(|field| shares(field)).collect();
    let of_class = |(class, fraction): (usize, ClassFraction)| {
        let values: Vec<f64> = shares.iter().map(|shares| shares[class]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let deviation = (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt());
        SpecimenFraction { fields: fields.len(), fraction, deviation }
    };
    fractions(fields, validation).into_iter().enumerate().map(of_class).collect()
}

/// The share of each class in a field.
fn shares(field: &BlockCounts) -> Vec<f64> {
    let totals = field.totals();
    let all = totals.iter().sum::<u64>().max(1) as f64;
    totals.iter().map(|&total| total as f64 / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_weights_by_area_and_the_deviation_is_that_between_fields() {
        let field = |height: usize, ones: usize| {
            let mut blocks = BlockCounts::new(2, 5, (10, height));
            blocks.add(0, &(0..10 * height).map(|i| u8::from(i < ones)).collect::<Vec<_>>());
            blocks
        };
        let (small, large) = (field(10, 20), field(30, 120));
        let specimen = specimen_fractions(&[&small, &large], &[])[1];
        assert_eq!((specimen.fields, specimen.fraction), (2, fractions(&[&small, &large], &[])[1]));
        assert!((specimen.fraction.raw.value - 0.35).abs() < 1e-12);
        assert!((specimen.deviation.unwrap() - 0.02f64.sqrt()).abs() < 1e-12);
        assert_eq!(specimen_fractions(&[&small], &[])[1].deviation, None);
        assert!(specimen_fractions(&[], &[]).is_empty());
    }
}
