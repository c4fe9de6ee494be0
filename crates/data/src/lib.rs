//! Micrographs and masks: read from disk or drawn, checked, cut into patches, augmented, batched.
//!
//! A data set is read where it lies ([`format`]) and checked once, which gives a [`Manifest`]; everything later
//! reads through [`OpenDataset`], which knows the manifest and notices a file that changed. Pixels are u8,
//! channels last; batches are candle f32 `[batch, height, width, 3]`, normalised with ImageNet's statistics, or for a GPU
//! what they are before that ([`augment::Pixel`]).

pub mod augment;
mod color;
pub mod decode;
mod error;
pub mod format;
pub mod leaks;
pub mod loader;
pub mod manifest;
mod mask_reader;
mod micrograph;
mod open;
pub mod patches;
mod polygons;
mod rasterize;
pub mod sources;
pub mod survey;
pub mod synthesize;
mod tif;
pub mod tiles;

pub use color::Color;
pub use error::DataError;
pub use manifest::{Entry, Manifest, Split};
pub use micrograph::{IGNORE, Mask, Micrograph};
pub use open::{OpenDataset, Root};
