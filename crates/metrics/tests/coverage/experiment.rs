//! How many intervals hold the truth.

use crate::micrograph::{Classifier, Micrograph, Structure};
use matssl_base::random::Stream;
use matssl_metrics::{Confusion, Correction, fractions, fractions_by};
use rayon::prelude::*;
use std::fmt;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Experiment {
    pub(crate) structure: Structure,
    /// The structure of the validation images, if it is another.
    pub(crate) validated_on: Structure,
    pub(crate) classifier: Classifier,
    pub(crate) side: usize,
    /// Number of micrographs to draw fields from, and of those to draw validation images from.
    pub(crate) pool: u64,
}

/// Shares of intervals that hold the truth, over all classes, and mean widths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    /// Of a model without errors.
    pub(crate) perfect: f64,
    /// Raw intervals, and the fraction that the model predicts in the mean.
    pub(crate) predicted: f64,
    /// Raw intervals, and the true fraction.
    pub(crate) raw: f64,
    /// Corrected intervals, and the true fraction.
    pub(crate) corrected: f64,
    /// The same by the stratified estimator.
    pub(crate) stratified: f64,
    /// Mean widths of the raw intervals, the corrected ones, and the latter by the stratified estimator.
    pub(crate) widths: [f64; 3],
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coverage { perfect, predicted, raw, corrected, stratified, widths } = self;
        for share in [perfect, predicted, raw, corrected, stratified] {
            write!(f, "{:5.1} ", 100.0 * share)?;
        }
        widths.iter().try_for_each(|width| write!(f, " {width:.3}"))
    }
}

/// The micrographs of an experiment.
pub(crate) struct Pool {
    fields: Vec<Micrograph>,
    validation: Vec<Micrograph>,
    truth: Vec<f64>,
}

impl Experiment {
    pub(crate) fn pool(&self) -> Pool {
        let draw = |structure, first: u64| {
            let numbers = first..first + self.pool;
            numbers.into_par_iter().map(|n| Micrograph::new(structure, self.classifier, self.side, n)).collect()
        };
        let truth = self.structure.fractions();
        Pool { fields: draw(self.structure, 0), validation: draw(self.validated_on, self.pool), truth }
    }
}

impl Pool {
    /// The coverage of `specimens` specimens with `fields` fields each and `images` validation images. A pool is used again only if
    /// there are more specimens than it has fields for.
    pub(crate) fn coverage(&self, specimens: usize, fields: usize, images: usize) -> Coverage {
        let classes = self.truth.len();
        let pooled = |class: usize| self.fields.iter().map(|m| m.predicted.totals()[class]).sum::<u64>() as f64;
        let all: f64 = (0..classes).map(pooled).sum();
        let expected: Vec<f64> = (0..classes).map(|class| pooled(class) / all).collect();
        let one = |specimen: usize| {
            let mut stream = Stream::new(19, "validation", fields as u64, (specimen * 100 + images) as u64);
            let order = stream.permutation(self.validation.len());
            let validation: Vec<Confusion> =
                order[..images].iter().map(|&index| self.validation[index].confusion.clone()).collect();
            let chosen: Vec<&Micrograph> =
                (0..fields).map(|field| &self.fields[(specimen * fields + field) % self.fields.len()]).collect();
            let perfect = fractions(&chosen.iter().map(|m| &m.truth).collect::<Vec<_>>(), &[]);
            let blocks: Vec<_> = chosen.iter().map(|m| &m.predicted).collect();
            let predicted = fractions(&blocks, &validation);
            let stratified = fractions_by(Correction::Stratified, &blocks, &validation);
            let mut sum = Coverage::default();
            // With two classes the second interval is the first one mirrored.
            let shown = if classes == 2 { 1..2 } else { 0..classes };
            let weight = 1.0 / (shown.len() * specimens) as f64;
            for class in shown {
                let holds = |interval: Option<[f64; 2]>, truth: f64| {
                    let [low, high] = interval.expect("a class with pixels has an interval");
                    (f64::from(u8::from(low <= truth && truth <= high)) * weight, (high - low) * weight)
                };
                let (raw, truth) = (predicted[class].raw.interval, self.truth[class]);
                sum.perfect += holds(perfect[class].raw.interval, truth).0;
                sum.predicted += holds(raw, expected[class]).0;
                let of = |interval| holds(interval, truth);
                let [raw, corrected, stratified] =
                    [raw, predicted[class].corrected.unwrap().interval, stratified[class].corrected.unwrap().interval]
                        .map(of);
                sum.raw += raw.0;
                sum.corrected += corrected.0;
                sum.stratified += stratified.0;
                sum.widths.iter_mut().zip([raw.1, corrected.1, stratified.1]).for_each(|(width, more)| *width += more);
            }
            sum
        };
        let parts: Vec<Coverage> = (0..specimens).into_par_iter().map(one).collect();
        parts.into_iter().fold(Coverage::default(), |a, b| Coverage {
            perfect: a.perfect + b.perfect,
            predicted: a.predicted + b.predicted,
            raw: a.raw + b.raw,
            corrected: a.corrected + b.corrected,
            stratified: a.stratified + b.stratified,
            widths: [0, 1, 2].map(|index| a.widths[index] + b.widths[index]),
        })
    }
}
