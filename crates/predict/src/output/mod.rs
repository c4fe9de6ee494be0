//! The files that a prediction leaves, written as its bands arrive. Each is written under a temporary name and renamed, so it is
//! whole or not there.

mod encoder_error;
mod grey_map;
mod image_files;
mod image_outputs;
mod mask_file;
mod mask_png;
mod mask_tif;
mod objects;
mod options;
mod picture;
mod planes;
mod spooled;
mod watched;
mod whole_file;

pub use image_files::{ImageFiles, OutputFile};
pub use image_outputs::{ImageOutputs, Target, Written};
use objects::objects_csv;
pub use options::{MaskFormat, OutputOptions, ProbabilityFormat};
pub use picture::Shrunk;
pub use watched::Watched;
pub use whole_file::WholeFile;
