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

pub use header::MAX_PIXELS;
pub use mask::{decode_colors, decode_mask};
pub use micrograph::decode_image;
