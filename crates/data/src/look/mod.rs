//! A look at a user's folder: where its images and masks are, what the masks hold, and what follows for an experiment.
//!
//! [`look()`] lists the folder, decides by names (and, where names say nothing, by content) what belongs together, reads
//! headers, and decodes a sample of the masks. It changes nothing and keeps no pixels.

mod annotation_files;
mod class_choice;
mod depth;
mod folders;
mod found;
mod image_headers;
mod labels;
mod layout;
mod listing;
mod look_at;
mod names;
mod pairs;
mod pattern;
mod refusals;
mod sample;
mod split_sizes;

pub use found::{Bar, Found, FoundAnnotations, FoundLabels, FoundMasks, FoundSplit};
pub use labels::{FoundColor, FoundValue};
pub use look_at::look;
pub use split_sizes::{SplitSizes, split_sizes};
