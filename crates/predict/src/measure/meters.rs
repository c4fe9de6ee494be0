//! Stand-ins with the signatures of `matssl_metrics`' meters of objects and intercepts: they measure nothing. Goes when those are
//! merged.

use matssl_metrics::{BlockCounts, ClassFraction, Confusion, Object};

/// As `matssl_metrics::ObjectMeter`.
#[derive(Clone, Debug)]
pub(super) struct ObjectMeter;

impl ObjectMeter {
    pub(super) fn new(_class: u8, _width: usize) -> Self {
        ObjectMeter
    }

    pub(super) fn add(&mut self, _labels: &[u8]) {}

    pub(super) fn finish_in(self, _pixel: [f64; 2]) -> Vec<Object> {
        Vec::new()
    }
}

/// As `matssl_metrics::Intercept`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intercept;

impl Intercept {
    pub(super) fn mean(self, _pixel: [f64; 2]) -> Option<f64> {
        None
    }
}

/// As `matssl_metrics::InterceptMeter`.
#[derive(Clone, Debug)]
pub(super) struct InterceptMeter(usize);

impl InterceptMeter {
    pub(super) fn new(classes: usize, _width: usize) -> Self {
        InterceptMeter(classes)
    }

    pub(super) fn add(&mut self, _labels: &[u8]) {}

    pub(super) fn finish(self) -> Vec<Intercept> {
        vec![Intercept; self.0]
    }
}

/// As `matssl_metrics::Distribution`, with its mean only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distribution {
    pub(crate) mean: f64,
}

/// As `matssl_metrics::ObjectSummary`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectSummary {
    pub(crate) count: usize,
    pub(crate) at_edge: usize,
    pub(crate) per_area: Option<f64>,
    pub(crate) diameter: Option<Distribution>,
    pub(crate) aspect_ratio: Option<Distribution>,
    pub(crate) nearest: Option<Distribution>,
}

impl ObjectSummary {
    pub(crate) fn of(objects: &[Object], area: f64) -> Self {
        let inside: Vec<&Object> = objects.iter().filter(|object| !object.touches_edge).collect();
        let at_edge = objects.len() - inside.len();
        let mean = |values: Vec<f64>| {
            let count = values.len() as f64;
            (!values.is_empty()).then(|| Distribution { mean: values.iter().sum::<f64>() / count })
        };
        ObjectSummary {
            count: objects.len(),
            at_edge,
            per_area: (area > 0.0).then(|| (inside.len() as f64 + at_edge as f64 / 2.0) / area),
            diameter: mean(inside.iter().map(|object| object.equivalent_diameter).collect()),
            aspect_ratio: mean(inside.iter().map(|object| object.aspect_ratio).collect()),
            nearest: mean(inside.iter().filter_map(|object| object.nearest).collect()),
        }
    }
}

/// As `matssl_metrics::SpecimenFraction`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpecimenFraction {
    pub(crate) fields: usize,
    pub(crate) fraction: ClassFraction,
    pub(crate) deviation: Option<f64>,
}

/// As `matssl_metrics::specimen_fractions`.
pub(crate) fn specimen_fractions(fields: &[&BlockCounts], validation: &[Confusion]) -> Vec<SpecimenFraction> {
    let shares = |field: &&BlockCounts| {
        let totals = field.totals();
        let all = totals.iter().sum::<u64>().max(1) as f64;
        totals.iter().map(|&total| total as f64 / all).collect::<Vec<f64>>()
    };
    let shares: Vec<Vec<f64>> = fields.iter().map(shares).collect();
    let of_class = |(class, fraction): (usize, ClassFraction)| {
        let values: Vec<f64> = shares.iter().map(|shares| shares[class]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let deviation = (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt());
        SpecimenFraction { fields: fields.len(), fraction, deviation }
    };
    matssl_metrics::fractions(fields, validation).into_iter().enumerate().map(of_class).collect()
}
