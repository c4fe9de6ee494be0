//! The area fraction of each class, raw and corrected for the model's known errors.

use super::BlockCounts;
use super::cells::Cells;
use super::correction::{Correction, Corrector, dot};
use super::simplex::nearest_shares;
use super::spread::{Spread, interval};
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
    /// Corrected by the confusion matrices of the validation images; the interval accounts for the limited field, for the
    /// limited number of validation images, and for errors that differ from image to image. `None` without validation images.
    pub corrected: Option<Estimate>,
}

/// The fraction of each class in the specimen from which `fields` were taken (one field: an image alone), with the 95 % interval
/// of the fraction in the whole specimen. `validation` has the confusion matrix of each validation image. Nothing is drawn at
/// random.
///
/// **Raw.** The share of the pixels, and an interval for the limited field. Several fields: from the differences between them,
/// mean ± t s / √n, as ASTM E562 and E1245 do for manual and automatic measurements. One field, which these standards do not
/// provide for: from the differences between its parts, as in a block bootstrap (`cells.rs` has the formulas). Fields are
/// assumed to be placed at random, and to be larger than the structure. Unlike in the standards, the interval is on the scale
/// of the logit, so that it stays between 0 and 1, and fields have weights by their areas. It knows nothing of the model's errors.
///
/// **Corrected.** The share, corrected by the validation images (see [`Correction`]). Its interval adds two variances to that of
/// the limited field: of the correction, by a jackknife over the validation images, and, for one field, of the model's errors from
/// image to image: the mean squared error of a validation image that is corrected by the others. With several fields these are
/// among the differences between fields. All three have degrees of freedom (Satterthwaite). The fields must be images like the
/// validation images: same instrument, preparation, magnification. One validation image gives a value without an interval. Without
/// validation images, or if the model does not tell some classes from each other in them, there is no corrected fraction. A
/// class that is in no validation image stays as it is predicted. Corrected shares add up to 1: of negative ones 0 is made, and
/// the others are lowered.
///
/// A class without a pixel, or one that fills the fields, has no raw interval. `tests/coverage` shows how often intervals hold the
/// truth.
pub fn fractions(fields: &[&BlockCounts], validation: &[Confusion]) -> Vec<ClassFraction> {
    fractions_by(Correction::default(), fields, validation)
}

/// [`fractions`], corrected in a certain way.
pub fn fractions_by(correction: Correction, fields: &[&BlockCounts], validation: &[Confusion]) -> Vec<ClassFraction> {
    let sample = Sample::new(fields);
    let corrector = Corrector::new(correction, sample.shares.len(), validation);
    // Where the model hardly tells classes from each other, the correction may go beyond 0 or 1.
    let corrected = corrector.as_ref().map(|corrector| {
        let values: Vec<f64> = corrector.weights.iter().map(|weights| dot(&sample.shares, weights)).collect();
        nearest_shares(&values)
    });
    let fraction = |class: usize| {
        let mut own = vec![0.0; sample.shares.len()];
        own[class] = 1.0;
        let value = sample.shares[class];
        let raw = Estimate { value, interval: sample.spread(&own).and_then(|spread| interval(value, spread.reach())) };
        let corrected = corrector.as_ref().zip(corrected.as_ref());
        let corrected = corrected.map(|(corrector, values)| sample.corrected(class, values[class], corrector));
        ClassFraction { raw, corrected }
    };
    (0..sample.shares.len()).map(fraction).collect()
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

    /// The corrected share `value` of `class`, with its interval.
    fn corrected(&self, class: usize, value: f64, corrector: &Corrector) -> Estimate {
        let weights = &corrector.weights[class];
        let estimate = || {
            let field = self.spread(weights)?;
            let errors = corrector.errors(class, &self.shares)?;
            let image = if matches!(self.fields, Fields::One(_)) { errors.image } else { 0.0 };
            let model = Spread { variance: errors.jackknife + image, freedom: errors.freedom };
            interval(value, field.reach_with(model))
        };
        Estimate { value, interval: estimate() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A field of one row with so many pixels of each class, in blocks of 10 × 1.
    fn field(pixels: &[usize]) -> BlockCounts {
        let labels: Vec<u8> = pixels.iter().enumerate().flat_map(|(class, &count)| vec![class as u8; count]).collect();
        let mut blocks = BlockCounts::new(pixels.len(), 10, (labels.len(), 1));
        blocks.add(0, &labels);
        blocks
    }

    fn confusion(counts: &[[u64; 2]; 2]) -> Confusion {
        Confusion::from_counts(2, counts.as_flattened().to_vec()).unwrap()
    }

    /// The example of Olofsson et al. 2014, Remote Sensing of Environment 148, Table 8: 235,086 of ten million pixels.
    #[test]
    fn corrected_fractions_are_those_of_olofsson() {
        let mapped: [[u64; 4]; 4] = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]];
        let by_truth = (0..16).map(|cell| mapped[cell % 4][cell / 4]).collect();
        let validation = [Confusion::from_counts(4, by_truth).unwrap()];
        let field = field(&[200, 150, 3200, 6450]);
        let fractions = fractions_by(Correction::Stratified, &[&field], &validation);
        let corrected = fractions[0].corrected.unwrap();
        assert!((corrected.value * 1e7 - 235_086.0).abs() < 1.0, "{corrected:?}");
        // One validation image does not say how validation images differ.
        assert_eq!(corrected.interval, None);
        let sum: f64 = fractions.iter().map(|class| class.corrected.unwrap().value).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    /// 10 % of class 0 and 20 % of class 1 are taken for the other: a field with 60 % of class 1 shows 10 + 0.7 · 60 = 52 %, whatever
    /// the validation images have.
    #[test]
    fn fields_unlike_the_validation_images_are_corrected_by_the_rates_of_each_true_class() {
        let images = [200, 220, 180].map(|ones| {
            let zeros = 1000 - ones;
            confusion(&[[zeros / 10 * 9, zeros / 10], [ones / 5, ones / 5 * 4]])
        });
        let field = field(&[480, 520]);
        let [inverse, stratified] = [Correction::Inverse, Correction::Stratified].map(|correction| {
            let fraction = fractions_by(correction, &[&field], &images)[1];
            assert!((fraction.raw.value - 0.52).abs() < 1e-12);
            fraction.corrected.unwrap()
        });
        assert!((inverse.value - 0.6).abs() < 1e-12, "{inverse:?}");
        // 2/3 of what is predicted as class 1 is, and 1/19 of the rest.
        assert!((stratified.value - (0.52 * 2.0 / 3.0 + 0.48 / 19.0)).abs() < 1e-12, "{stratified:?}");
        assert_eq!(fractions(&[&field], &images)[1].corrected, Some(inverse));
    }

    #[test]
    fn several_fields_have_the_interval_of_astm_e562() {
        let fields = [[720, 280], [700, 300], [680, 320]].map(|pixels| field(&pixels));
        let fields: Vec<&BlockCounts> = fields.iter().collect();
        let raw = fractions(&fields, &[])[1].raw;
        assert!((raw.value - 0.3).abs() < 1e-12);
        // 4.303 · 0.02 / √3 = 0.0497, but for the logit.
        let [low, high] = raw.interval.unwrap();
        assert!((low - (0.3 - 0.0497)).abs() < 0.005 && (high - (0.3 + 0.0497)).abs() < 0.005, "{low} {high}");
    }

    #[test]
    fn where_there_is_nothing_to_compute_from_there_is_no_interval() {
        let absent = fractions(&[&field(&[1000, 0])], &[]);
        assert_eq!(absent[1], ClassFraction { raw: Estimate { value: 0.0, interval: None }, corrected: None });
        let mut one_block = BlockCounts::new(2, 100, (10, 10));
        one_block.add(0, &[0, 1].repeat(50));
        assert_eq!(fractions(&[&one_block], &[])[1].raw, Estimate { value: 0.5, interval: None });
        assert!(fractions(&[], &[]).is_empty());
        // Matrices over other classes, or without a pixel, correct nothing.
        assert_eq!(fractions(&[&one_block], &[Confusion::new(3), Confusion::new(2)])[1].corrected, None);
        // The model does not tell the classes from each other.
        let never = [confusion(&[[90, 0], [10, 0]]), confusion(&[[80, 0], [20, 0]])];
        assert_eq!(fractions(&[&one_block], &never)[1].corrected, None);
        let corrected = fractions_by(Correction::Stratified, &[&one_block], &never)[1].corrected.unwrap();
        assert!((corrected.value - (0.5 + 0.5 * 0.15)).abs() < 1e-12, "{corrected:?}");
        // A class that is in no validation image stays as it is predicted.
        let only = [confusion(&[[100, 0], [0, 0]])];
        assert_eq!(fractions(&[&one_block], &only)[1].corrected, Some(Estimate { value: 0.5, interval: None }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn every_interval_holds_its_value_and_lies_between_0_and_1(
            fields in prop::collection::vec(prop::collection::vec(0u64..40, 3 * 30), 1..4),
            validation in prop::collection::vec(prop::collection::vec(0u64..30, 9), 0..5),
            scarce in any::<bool>(),
        ) {
            let thin = |count: u64| if scarce { count.saturating_sub(25) } else { count };
            let fields: Vec<BlockCounts> = fields
                .into_iter()
                .map(|counts| BlockCounts { classes: 3, side: 8, size: (48, 40), counts: counts.into_iter().map(thin).collect() })
                .collect();
            let validation: Vec<Confusion> =
                validation.into_iter().map(|counts| Confusion::from_counts(3, counts.into_iter().map(thin).collect()).unwrap()).collect();
            let fields: Vec<&BlockCounts> = fields.iter().collect();
            let both = [Correction::Inverse, Correction::Stratified].map(|correction| fractions_by(correction, &fields, &validation));
            for class in both.into_iter().flatten() {
                for estimate in [Some(class.raw), class.corrected].into_iter().flatten() {
                    prop_assert!((0.0..=1.0).contains(&estimate.value));
                    if let Some([low, high]) = estimate.interval {
                        prop_assert!(0.0 <= low && low <= estimate.value && estimate.value <= high && high <= 1.0, "{estimate:?}");
                    }
                }
            }
        }
    }
}
