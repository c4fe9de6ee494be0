//! The area fraction of each class, raw and corrected for the model's known errors.

use super::BlockCounts;
use super::cells::Cells;
use super::correction::{Correction, Corrector, dot};
use super::spread::Spread;
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

/// The fraction of each class in the specimen from which `fields` were taken (one field: an image alone), with the 95 % interval
/// of the fraction in the whole specimen. `validation` has the confusion matrix of each validation image. Nothing is drawn at
/// random.
///
/// **Raw.** The share of the pixels, and an interval for the limited field. Several fields: from the differences between them,
/// mean ± t s / √n, as ASTM E562 and E1245 do for manual and automatic measurements. One field, which these standards do not
/// provide for: from the differences between its parts ([`Cells`]). The fields are assumed to be placed at random, and to be
/// larger than the structure. Unlike in the standards, the interval is on the scale of the logit, so that it stays between 0 and 1, and
/// fields have weights by their areas. It does not know of the model's errors.
///
/// **Corrected.** The share, corrected by the validation images (see [`Correction`]). Its interval adds two variances to that of
/// the limited field: of the correction, by a jackknife over the validation images, and, for one field, of the model's errors from
/// image to image: the mean squared error of a validation image that is corrected by the others. With several fields these are
/// among the differences between fields. All three have degrees of freedom (Satterthwaite). One validation image gives a value
/// without an interval. The fields must be images like the validation images: same instrument, preparation, magnification.
///
/// A class without a pixel, or one that fills the fields, has no raw interval. `crates/metrics/tests/coverage` shows how often the
/// intervals hold the truth.
pub fn fractions(fields: &[&BlockCounts], validation: &[Confusion]) -> Vec<ClassFraction> {
    let sample = Sample::new(fields);
    let corrector = Corrector::new(&sample.shares, fields.len(), validation);
    let fraction = |class: usize| {
        let mut own = vec![0.0; sample.shares.len()];
        own[class] = 1.0;
        let value = sample.shares[class];
        let raw = Estimate { value, interval: sample.spread(&own).and_then(|spread| spread.interval(value)) };
        let corrected = corrector.as_ref().map(|corrector| sample.corrected(class, corrector));
        ClassFraction { raw, corrected }
    };
    (0..sample.shares.len()).map(fraction).collect()
}

/// How [`fractions`] corrects these fields; `None` if it does not.
pub fn correction(fields: &[&BlockCounts], validation: &[Confusion]) -> Option<Correction> {
    Corrector::new(&Sample::new(fields).shares, fields.len(), validation).map(|corrector| corrector.correction)
}

/// What was measured in the fields of one specimen.
struct Sample {
    /// The share of each class in all fields.
    shares: Vec<f64>,
    fields: Fields,
}

enum Fields {
    One(Cells),
    /// Of each field: its share of all pixels, and the share of each class in it.
    Several(Vec<(f64, Vec<f64>)>),
}

impl Sample {
    fn new(fields: &[&BlockCounts]) -> Self {
        let totals: Vec<Vec<u64>> = fields.iter().map(|field| field.totals()).collect();
        let pixels: Vec<f64> = totals.iter().map(|totals| totals.iter().sum::<u64>() as f64).collect();
        let all = pixels.iter().sum::<f64>().max(1.0);
        let classes = totals.first().map_or(0, Vec::len);
        let share = |class: usize| totals.iter().map(|totals| totals[class] as f64).sum::<f64>() / all;
        let of_field = |(totals, &pixels): (&Vec<u64>, &f64)| {
            (pixels / all, totals.iter().map(|&total| total as f64 / pixels.max(1.0)).collect())
        };
        let fields = match fields {
            [field] => Fields::One(Cells::new(field)),
            _ => Fields::Several(totals.iter().zip(&pixels).map(of_field).collect()),
        };
        Sample { shares: (0..classes).map(share).collect(), fields }
    }

    /// The variance, because fields are limited, of the mean of a measure that has the value `weights[class]` in a pixel of a class.
    fn spread(&self, weights: &[f64]) -> Option<Spread> {
        match &self.fields {
            Fields::One(cells) => cells.spread(weights),
            Fields::Several(fields) => {
                let mean = dot(&self.shares, weights);
                let square = |(area, shares): &(f64, Vec<f64>)| (area * (dot(shares, weights) - mean)).powi(2);
                // The number of fields of one size that would be as good.
                let count = 1.0 / fields.iter().map(|(area, _)| area * area).sum::<f64>();
                let variance = fields.iter().map(square).sum::<f64>() * count / (count - 1.0);
                Some(Spread { variance, freedom: count - 1.0 })
            }
        }
    }

    fn corrected(&self, class: usize, corrector: &Corrector) -> Estimate {
        let weights = &corrector.weights[class];
        let value = dot(&self.shares, weights).clamp(0.0, 1.0);
        let interval = || {
            let field = self.spread(weights)?;
            let errors = corrector.errors(class, &self.shares)?;
            let image = if matches!(self.fields, Fields::One(_)) { errors.image } else { 0.0 };
            field.plus(Spread { variance: errors.jackknife + image, freedom: errors.freedom }).interval(value)
        };
        Estimate { value, interval: interval() }
    }
}
