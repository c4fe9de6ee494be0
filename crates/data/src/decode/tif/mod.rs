//! Tagged image files (TIFF 6.0 and BigTIFF).
//!
//! The crate `tiff` reads a file only after it could interpret its first page, and gives values only as they are displayed,
//! so directories, pages and pieces are read here; the decompressors are crates.

mod chunk;
mod codec;
mod directory;
mod names;
mod page;
mod pages;
mod pieces;
mod read;
mod row;

pub(super) use pages::{exif_orientation, orientation, page_count};
pub(super) use pieces::Pieces;
pub(super) use read::{lossy_compression, size, stored, stored_as};
