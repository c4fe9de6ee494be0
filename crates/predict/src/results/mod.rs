//! The results of many images: tables, a file for programs, and a page.

mod facts;
mod fractions_csv;
mod image_result;
mod notes;
mod number;
mod page;
mod predict_json;
mod results_folder;
mod results_of;
mod specimens;
mod summary_csv;

pub use image_result::ImageResult;
pub use results_folder::{Occupied, ResultsFolder};
pub use results_of::{Failed, Results};
pub use specimens::{Field, Specimen};
