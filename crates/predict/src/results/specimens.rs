//! Images by specimen.

use super::ImageResult;
use crate::measure::Unit;
use matssl_metrics::{BlockCounts, ClassFraction, Confusion, Object};
use matssl_metrics::{ObjectSummary, SpecimenFraction, specimen_fractions};
use std::collections::BTreeMap;

/// An image with the specimen that it shows.
#[derive(Clone, Debug)]
pub struct Field {
    /// The image.
    pub result: ImageResult,
    /// The specimen, if it is known.
    pub specimen: Option<String>,
}

/// The fields of one specimen.
pub struct Specimen<'a> {
    /// Its name; `"all"` where specimens are not known.
    pub name: String,
    /// Its fields.
    pub fields: Vec<&'a ImageResult>,
    pub(crate) fractions: Vec<SpecimenFraction>,
}

/// What the specimen is called where none is known.
const ALL: &str = "all";
/// What the specimen of an image is called whose name does not say it, where others do.
const NONE: &str = "(no specimen)";

impl<'a> Specimen<'a> {
    /// The specimens of `fields`, by name.
    pub(super) fn all(fields: &'a [Field], validation: &[Confusion]) -> Vec<Specimen<'a>> {
        let unknown = if fields.iter().any(|field| field.specimen.is_some()) { NONE } else { ALL };
        let mut by_name: BTreeMap<&str, Vec<&ImageResult>> = BTreeMap::new();
        for field in fields {
            by_name.entry(field.specimen.as_deref().unwrap_or(unknown)).or_default().push(&field.result);
        }
        let specimen = |(name, fields): (&str, Vec<&'a ImageResult>)| {
            let counts: Vec<&BlockCounts> = fields.iter().map(|field| &field.measured.counts).collect();
            let fractions = specimen_fractions(&counts, validation);
            Specimen { name: name.to_owned(), fields, fractions }
        };
        by_name.into_iter().map(specimen).collect()
    }

    /// The area fraction of each class.
    pub fn fractions(&self) -> impl Iterator<Item = ClassFraction> + '_ {
        self.fractions.iter().map(|of| of.fraction)
    }

    /// The unit in which lengths of all fields can be given; `None` where some are in µm and some in pixels.
    pub(super) fn unit(&self) -> Option<Unit> {
        let first = self.fields.first()?.measured.unit;
        self.fields.iter().all(|field| field.measured.unit == first).then_some(first)
    }

    /// The objects of `class` in all fields, if lengths have one unit.
    pub(super) fn objects(&self, class: u8) -> Option<ObjectSummary> {
        self.unit()?;
        let objects: Vec<Object> = self.fields.iter().flat_map(|field| field.objects(class)).copied().collect();
        Some(ObjectSummary::of(&objects, self.fields.iter().map(|field| field.area()).sum()))
    }

    /// The mean over the fields of the mean intercept length of `class`.
    pub(super) fn mean_intercept(&self, class: usize) -> Option<f64> {
        self.unit()?;
        let lengths: Vec<f64> = self.fields.iter().filter_map(|field| field.measured.intercepts[class]).collect();
        (!lengths.is_empty()).then(|| lengths.iter().sum::<f64>() / lengths.len() as f64)
    }
}

impl ImageResult {
    /// Its objects of `class`; none if they were not measured.
    pub(super) fn objects(&self, class: u8) -> &[Object] {
        self.measured.objects.iter().find(|of| of.class == class).map_or(&[], |of| of.objects.as_slice())
    }
}
