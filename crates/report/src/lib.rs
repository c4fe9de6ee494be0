//! What readers of results see: tables, curves, pictures of predictions, and a page with all of these.
//!
//! Everything here is a pure function from numbers and pixels to text and pixels: the same input gives the same bytes. The
//! stages of the program read the inputs and write the files.

mod address;
mod axis;
mod confusion_figure;
pub mod curve;
pub mod data_table;
pub mod drawing;
mod file_form;
mod file_name;
mod font;
mod histogram;
pub mod overlay;
pub mod page;
mod palette;
mod panels;
mod png;
mod predictions_page;
mod preview_page;
pub mod published;
mod reliability_figure;
mod scene;
mod svg;
pub mod table;

pub use confusion_figure::{ConfusionFigure, ConfusionPanel};
pub use file_form::FileForm;
pub use file_name::{FileName, safe_names};
pub use palette::class as class_colour;
pub use png::{png_grey, png_rgb};
pub use predictions_page::{ClassObjects, PredictedImage, PredictionsPage, SpecimenRow, predictions_page};
pub use preview_page::{PreviewPicture, PreviewSet, preview_page};
pub use reliability_figure::{ReliabilityFigure, ReliabilityPanel};
