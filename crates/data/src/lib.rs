//! Micrographs and masks: read from disk or synthesized, checked, cut into patches, augmented, made into batches.
//!
//! A data set is read in its own folder ([`mod@format`]) and checked once, which gives a [`Manifest`]. After that it is read
//! through [`OpenDataset`], which has the manifest and refuses a file that has changed. Pixels are u8, channels last. Batches
//! are f32 `[batch, height, width, in_channels]` (3 if an experiment says nothing else), normalised with ImageNet's statistics;
//! for a GPU, batches of 3 channels are not normalised ([`augment::Pixel`]).

pub mod annotations;
pub mod augment;
mod channels;
mod checked_file;
mod color;
mod crop;
pub mod decode;
mod error;
mod faults;
pub mod format;
mod geometry;
mod image_file;
mod instances;
mod instrument;
pub mod leaks;
mod legend;
pub mod loader;
pub mod look;
pub mod manifest;
mod mask_reader;
mod micrograph;
mod open;
pub mod patches;
pub mod pixel_size;
mod polygons;
mod rasterize;
mod resample;
mod resampled;
mod resize;
mod rows;
pub mod sources;
mod stem;
pub mod survey;
mod symmetry;
pub mod synthesize;
#[cfg(test)]
mod test_tiff;
pub mod tiles;
mod window;

pub use channels::{MOST_CHANNELS, RGB, check_channels, fits};
pub use color::{ClassColor, Color};
pub use crop::{Auto, Crop, Margin, Sides};
pub use error::DataError;
pub use image_file::{ImageFile, ReadAs};
pub use manifest::{Entry, Manifest, Split};
pub use micrograph::{IGNORE, Mask, Micrograph};
pub use open::{OpenDataset, Root};
pub use pixel_size::{PixelSize, PixelSizes};
pub use resampled::Resampled;
pub use rows::Rows;
pub use stem::composed;
pub use symmetry::Symmetry;
pub use window::Window;
