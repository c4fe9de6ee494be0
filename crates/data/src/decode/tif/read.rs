//! The pixels of a tif.

use super::page::{Format, Page};
use super::row::{is_negative, signed};
use super::{names, pieces};
use crate::decode::header::{MAX_PIXELS, MAX_PIXELS_IN_PIECES};
use crate::decode::refusal::Decoded;
use crate::decode::source::Source;
use crate::decode::stored::Stored;
use std::io::{Cursor, Read, Seek};

/// The values of page `page` (from 1) of a tif, or of its only page.
///
/// # Errors
/// As [`super::pages::choose`]; damaged; too large; stored in a way that is not read, by its name.
pub(in crate::decode) fn stored(bytes: &[u8], page: Option<usize>) -> Decoded<Stored> {
    let page = Page::open(Cursor::new(bytes), page, MAX_PIXELS)?;
    page.check()?;
    let values = pieces::all(&page, &Source::from(bytes))?;
    let has_negative = page.format == Format::Signed && is_negative(&values);
    Ok(page.stored(page.size, if has_negative { signed(values) } else { values }))
}

/// Width and height of page `page` as stored, and its orientation, 1 to 8.
///
/// # Errors
/// As [`super::pages::choose`]; damaged; too large.
pub(in crate::decode) fn size(source: impl Read + Seek, page: Option<usize>) -> Decoded<((usize, usize), u8)> {
    let page = Page::open(source, page, MAX_PIXELS_IN_PIECES)?;
    Ok((page.size, page.orientation))
}

/// The name of the compression of a page, if it may have changed values.
///
/// # Errors
/// As [`super::pages::choose`].
pub(in crate::decode) fn lossy_compression(bytes: &[u8], page: Option<usize>) -> Decoded<Option<String>> {
    let page = Page::open(Cursor::new(bytes), page, MAX_PIXELS)?;
    Ok(names::is_lossy(page.compression).then(|| names::compression(page.compression)))
}

/// `16-bit grey tif`, from the tags.
///
/// # Errors
/// As [`super::pages::choose`].
pub(in crate::decode) fn stored_as(source: impl Read + Seek, page: Option<usize>) -> Decoded<String> {
    let page = Page::open(source, page, MAX_PIXELS_IN_PIECES)?;
    let colours = match (page.photometric, page.samples) {
        (3, _) => "palette".to_owned(),
        (5, _) => "CMYK".to_owned(),
        (0 | 1, 1) => "grey".to_owned(),
        (0 | 1, 2) if page.has_alpha => "grey with alpha".to_owned(),
        (2 | 6, 3) => "RGB".to_owned(),
        (2, 4) => "RGBA".to_owned(),
        (_, samples) => format!("{samples}-channel"),
    };
    let kind = if page.format == Format::Floating { " floating-point" } else { "" };
    Ok(format!("{}-bit{kind} {colours} tif", page.bits))
}
