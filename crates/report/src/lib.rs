//! What readers of results see: tables, curves, pictures of predictions, and a page with all of these.
//!
//! Everything here is a pure function from numbers and pixels to text and pixels: the same input gives the same bytes. The
//! stages of the program read the inputs and write the files.

pub mod curve;
pub mod data_table;
pub mod drawing;
mod file_form;
mod file_name;
mod font;
pub mod overlay;
pub mod page;
mod palette;
mod png;
mod predictions_page;
mod preview_page;
pub mod published;
mod scene;
mod svg;
pub mod table;

pub use file_form::FileForm;
pub use file_name::{FileName, safe_names};
pub use palette::class as class_colour;
pub use png::{png_grey, png_rgb};
pub use predictions_page::{ClassObjects, PredictedImage, PredictionsPage, SpecimenRow, predictions_page};
pub use preview_page::{PreviewPicture, PreviewSet, preview_page};
