//! The pixels of a tif.

use super::chunk::chunk;
use super::directory::Tif;
use super::page::{Format, Page};
use super::pages::choose;
use super::row::{place, room, signed, unpredict};
use super::{codec, names};
use crate::decode::refusal::{Decoded, Refusal};
use crate::decode::stored::{Stored, Values};
use std::io::{Cursor, Read, Seek};

/// The values of page `page` (from 1) of a tif, or of its only page.
///
/// # Errors
/// As [`choose`]; damaged; too large; stored in a way that is not read, by its name.
pub(in crate::decode) fn stored(bytes: &[u8], page: Option<usize>) -> Decoded<Stored> {
    let page = read_page(Cursor::new(bytes), page)?;
    page.check()?;
    let values = values(&page, bytes)?;
    let values = if page.format == Format::Signed { signed(values) } else { values };
    Ok(Stored {
        size: page.size,
        channels: page.samples,
        colours: page.colours(),
        has_alpha: page.has_alpha,
        bits: page.bits,
        values,
        is_inverted: page.photometric == 0,
        palette: page.palette,
        orientation: page.orientation,
    })
}

/// The name of the compression of a page, if it may have changed values.
///
/// # Errors
/// As [`choose`].
pub(in crate::decode) fn lossy_compression(bytes: &[u8], page: Option<usize>) -> Decoded<Option<String>> {
    let page = read_page(Cursor::new(bytes), page)?;
    Ok(names::is_lossy(page.compression).then(|| names::compression(page.compression)))
}

/// `16-bit grey tif`, from the tags.
///
/// # Errors
/// As [`choose`].
pub(in crate::decode) fn stored_as(source: impl Read + Seek, page: Option<usize>) -> Decoded<String> {
    let page = read_page(source, page)?;
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

fn read_page(source: impl Read + Seek, page: Option<usize>) -> Decoded<Page> {
    let mut tif = Tif::open(source)?;
    let chosen = choose(&mut tif, page)?;
    Page::read(&mut tif, &chosen)
}

fn values(page: &Page, bytes: &[u8]) -> Decoded<Values> {
    let (width, height) = page.size;
    let (across, down) = (width.div_ceil(page.chunk.0), height.div_ceil(page.chunk.1));
    let (planes, together) = (page.samples / page.samples_together(), page.samples_together());
    let row_bytes = page.row_bytes(page.chunk.0).filter(|&bytes| bytes > 0).ok_or_else(codec::short)?;
    if page.offsets.len() < across * down * planes {
        let problem = format!("{} of {} pieces", page.offsets.len(), across * down * planes);
        return Err(Refusal::damaged(problem));
    }
    let needed = page.row_bytes(width).unwrap_or(usize::MAX).saturating_mul(height).saturating_mul(planes);
    if bytes.len().saturating_mul(codec::largest_ratio(page.compression)) < needed {
        return Err(codec::short());
    }
    let mut values = room(page, width * height * page.samples);
    for index in 0..across * down * planes {
        let (plane, piece) = (index / (across * down), index % (across * down));
        let (left, top) = (piece % across * page.chunk.0, piece / across * page.chunk.1);
        let (columns, rows) = (page.chunk.0.min(width - left), page.chunk.1.min(height - top));
        let mut data = chunk(page, bytes, index, rows)?;
        let is_big_endian = match page.predictor {
            1 => page.is_big_endian,
            // Group 4 and JPEG have no predictor.
            _ if matches!(page.compression, 4 | 7) => page.is_big_endian,
            _ => unpredict(page, data.to_mut(), row_bytes),
        };
        for (i, row) in data.chunks_exact(row_bytes).take(rows).enumerate() {
            let start = ((top + i) * width + left) * page.samples + plane;
            let step = if page.is_planar { page.samples } else { 1 };
            place(page, row, is_big_endian, &mut values, (start, step, columns * together));
        }
    }
    Ok(values)
}
