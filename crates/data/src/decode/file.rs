//! One file of any kind that is read.

use super::container::{Container, container};
use super::refusal::{Decoded, Refusal};
use super::stored::Stored;
use super::{bmp, jpg, png, tif};
use regex::bytes::Regex;
use std::io::Cursor;
use std::sync::LazyLock;

/// The values that the file `bytes` stores; of a tif those of `page` (from 1).
///
/// # Errors
/// Not an image; damaged; too large; several pages without `page`; a way of storing pixels that is not read.
pub(super) fn stored(bytes: &[u8], page: Option<usize>) -> Decoded<Stored> {
    let stored = match container(bytes)? {
        Container::Png => png::stored(bytes),
        Container::Tif => tif::stored(bytes, page),
        Container::Jpg => jpg::stored(bytes),
        Container::Bmp => bmp::stored(bytes),
    }?;
    match xmp_orientation(bytes).filter(|_| stored.orientation == 1) {
        Some(orientation) => {
            let problem =
                format!("its XMP metadata say that it is turned (orientation {orientation}), its EXIF do not");
            Err(Refusal::new(problem, "programs do not agree what is up: save it upright, as png"))
        }
        None => Ok(stored),
    }
}

/// The orientation in XMP metadata, 2 to 8. Some programs turn the image by it, browsers do not.
fn xmp_orientation(bytes: &[u8]) -> Option<u8> {
    static ORIENTATION: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"tiff:Orientation(?:\s*=\s*["']|>)\s*([2-8])\s*["'<]"#).ok());
    let found = ORIENTATION.as_ref()?.captures(bytes)?;
    Some(found.get(1)?.as_bytes().first()? - b'0')
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
