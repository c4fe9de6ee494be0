//! From the bytes of a file to pixels or labels. A file that cannot be read correctly is refused, with its name.

mod alpha;
mod header;
mod jpeg;
mod mask;
mod micrograph;

mod png;
#[cfg(test)]
mod tests;
mod tif;

pub(crate) use mask::decode_colors;
pub use mask::decode_mask;
pub(crate) use micrograph::decode_image;
