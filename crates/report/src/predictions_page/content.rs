//! What the page shows.

use matssl_metrics::{Calibration, ClassFraction, Object};

/// What the page shows. Texts are plain text.
#[derive(Clone, Debug, Default)]
pub struct PredictionsPage {
    /// Which models predicted what.
    pub title: String,
    /// Name and value: models, options, versions.
    pub facts: Vec<(String, String)>,
    /// Name and colour of each class.
    pub classes: Vec<(String, [u8; 3])>,
    /// Sentences that hold for all images, e.g. that sizes of pixels are not known.
    pub notes: Vec<String>,
    /// By image, in the order of the table.
    pub images: Vec<PredictedImage>,
    /// Image and reason.
    pub failed: Vec<(String, String)>,
    /// Rows over the fields of a specimen.
    pub specimens: Vec<SpecimenRow>,
    /// Objects by class.
    pub objects: Vec<ClassObjects>,
    /// Name and calibration of each model that has one.
    pub calibrations: Vec<(String, Calibration)>,
}

/// A predicted image.
#[derive(Clone, Debug)]
pub struct PredictedImage {
    /// As it was named on the command line.
    pub image: String,
    /// Path of a small picture of the overlay, relative to the page.
    pub thumbnail: String,
    /// Path of what a click opens.
    pub overlay: String,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Size of a pixel in nm, if known.
    pub pixel_size_nm: Option<f64>,
    /// By class.
    pub fractions: Vec<ClassFraction>,
    /// Why it is unlike the training images; empty if it is not.
    pub unusual: Vec<String>,
}

/// A specimen: mean over its fields.
#[derive(Clone, Debug)]
pub struct SpecimenRow {
    /// Its name.
    pub specimen: String,
    /// Number of fields.
    pub fields: usize,
    /// By class: mean over fields with its interval, and standard deviation between fields.
    pub fractions: Vec<(ClassFraction, Option<f64>)>,
}

/// The objects of one class, over all images.
#[derive(Clone, Debug)]
pub struct ClassObjects {
    /// Index of the class.
    pub class: usize,
    /// `"µm"` or `"px"`: the unit of `objects`' lengths.
    pub unit: String,
    /// All of them.
    pub objects: Vec<Object>,
    /// Mean intercept length, in the same unit.
    pub mean_intercept: Option<f64>,
}
