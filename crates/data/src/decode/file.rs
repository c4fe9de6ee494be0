//! One file of any kind that is read.

use super::container::{Container, container};
use super::refusal::{Decoded, Refusal};
use super::source::Source;
use super::stored::Stored;
use super::{bmp, jpg, png, tif};
use regex::bytes::Regex;
use std::borrow::Cow;
use std::io::Cursor;
use std::sync::LazyLock;

/// Bytes by which a kind of file is known.
pub(super) const HEAD: u64 = 1 << 16;

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
    check_xmp(xmp_orientation(bytes), stored.orientation)?;
    Ok(stored)
}

/// Refuses a file that is upright by its own `orientation`, but not by that of its XMP metadata.
///
/// # Errors
/// It is one.
pub(super) fn check_xmp(xmp: Option<u8>, orientation: u8) -> Decoded<()> {
    match xmp.filter(|_| orientation == 1) {
        Some(xmp) => {
            let problem = format!("its XMP metadata say that it is turned (orientation {xmp}), its EXIF do not");
            Err(Refusal::new(problem, "programs do not agree what is up: save it upright, as png"))
        }
        None => Ok(()),
    }
}

/// The blake3 of `source`, and the orientation in its XMP metadata. It is read once, a block at a time.
///
/// # Errors
/// The disk's.
pub(super) fn digest(source: &Source<'_>) -> Decoded<(blake3::Hash, Option<u8>)> {
    const BLOCK: u64 = 1 << 20;
    /// Metadata may lie across two blocks; this is longer than what is looked for.
    const ACROSS: usize = 1 << 12;
    let (mut hasher, mut xmp, mut window) = (blake3::Hasher::new(), None, Vec::new());
    for start in (0..source.length()).step_by(BLOCK as usize) {
        let block = source.bytes(start, BLOCK.min(source.length() - start) as usize)?.unwrap_or_default();
        hasher.update(&block);
        window.drain(..window.len().saturating_sub(ACROSS));
        window.extend_from_slice(&block);
        xmp = xmp.or_else(|| xmp_orientation(&window));
    }
    Ok((hasher.finalize(), xmp))
}

/// Width and height of the image in `source`, turned upright, by its header.
///
/// # Errors
/// Not an image; damaged; too large; several pages without `page`.
pub(super) fn size(source: &Source<'_>, page: Option<usize>) -> Decoded<(usize, usize)> {
    let kind = container(&source.head(HEAD)?)?;
    let bytes = match kind {
        Container::Tif => Cow::Borrowed(&[][..]),
        _ => source.head(u64::MAX)?,
    };
    let ((width, height), orientation) = match kind {
        Container::Tif => tif::size(source.reader(), page)?,
        Container::Png => (png::size(&bytes)?, png::orientation(&bytes)),
        Container::Jpg => (super::jpeg::header(&bytes)?.size, jpg::orientation(&bytes)?),
        Container::Bmp => (bmp::size(&bytes)?, 1),
    };
    Ok(if orientation >= 5 { (height, width) } else { (width, height) })
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
