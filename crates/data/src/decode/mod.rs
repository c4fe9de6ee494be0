//! From the bytes of a file to pixels or labels. A file that cannot be read correctly is refused, with its name.

mod bmp;
mod container;
mod extent;
mod facts;
mod file;
mod guard;
mod header;
mod jpeg;
mod jpg;
mod mask;
mod micrograph;
mod open;
mod options;
mod orientation;
mod parts;
mod pixels;
mod png;
mod refusal;
mod scale;
mod source;
mod stored;
mod stored_as;
#[cfg(test)]
mod tests;
mod tif;

pub(crate) use container::stand_in;
pub(crate) use file::orientation;
pub(crate) use mask::decode_colors;
pub use mask::decode_mask;
pub use micrograph::decode_image;
pub(crate) use open::{Opened, digest_of, open_image, size_of};
pub use options::ImageOptions;
pub(crate) use source::Source;
pub(crate) use stored_as::stored_as;
