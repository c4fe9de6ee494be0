//! One file of any kind that is read.

use super::container::{Container, container};
use super::refusal::Decoded;
use super::stored::Stored;
use super::{bmp, jpg, png, tif};
use std::io::Cursor;

/// The values that the file `bytes` stores; of a tif those of `page` (from 1).
///
/// # Errors
/// Not an image; damaged; too large; several pages without `page`; a way of storing pixels that is not read.
pub(super) fn stored(bytes: &[u8], page: Option<usize>) -> Decoded<Stored> {
    match container(bytes)? {
        Container::Png => png::stored(bytes),
        Container::Tif => tif::stored(bytes, page),
        Container::Jpg => jpg::stored(bytes),
        Container::Bmp => bmp::stored(bytes),
    }
}

/// How the image in the file `bytes` is turned for display, 1 (not at all) to 8; 1 for a file that cannot be read.
pub(crate) fn orientation(bytes: &[u8], page: Option<usize>) -> u8 {
    let found = super::guard::guarded(|| {
        Ok(match container(bytes)? {
            Container::Png => png::orientation(bytes),
            Container::Tif => tif::orientation(&mut Cursor::new(bytes), page)?,
            Container::Jpg => jpg::orientation(bytes)?,
            Container::Bmp => 1,
        })
    });
    found.unwrap_or(1)
}
