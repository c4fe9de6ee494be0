//! `index.html` of a folder of predictions: a sortable table of fractions, thumbnails, histograms, objects, what was unusual. It
//! needs no network, and without script it lacks only sorting and the filter.

mod calibration;
mod content;
mod document;
mod fractions;
mod gallery;
mod image_table;
mod number;
mod objects;
mod specimens;
#[cfg(test)]
mod tests;

pub use content::{ClassObjects, PredictedImage, PredictionsPage, SpecimenRow};
pub use document::predictions_page;
