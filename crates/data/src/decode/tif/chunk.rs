//! The bytes of one strip or tile, decompressed.

use super::codec::{self, short};
use super::page::Page;
use crate::decode::jpeg::{self, Colours};
use crate::decode::refusal::{Decoded, Refusal};
use crate::decode::source::Source;
use std::borrow::Cow;

/// The first `rows` rows of the strip or tile `index` of `page`, `row_bytes` bytes each.
///
/// # Errors
/// It does not lie inside of `source`, or is damaged.
pub(super) fn chunk<'s>(page: &Page, source: &'s Source<'_>, index: usize, rows: usize) -> Decoded<Cow<'s, [u8]>> {
    let row_bytes = page.row_bytes(page.chunk.0).ok_or_else(short)?;
    let length = row_bytes.checked_mul(rows).ok_or_else(short)?;
    let compressed = compressed(page, source, index, length)?;
    if compressed.len().saturating_add(1).saturating_mul(codec::largest_ratio(page.compression)) < length {
        return Err(short());
    }
    let compressed = if page.is_reversed && page.compression != 7 {
        Cow::Owned(compressed.iter().map(|byte| byte.reverse_bits()).collect())
    } else {
        compressed
    };
    Ok(match page.compression {
        4 => Cow::Owned(codec::group_4(&compressed, page.chunk.0, rows)?),
        5 => Cow::Owned(codec::lzw(&compressed, length)?),
        7 => Cow::Owned(from_jpeg(page, &compressed, length)?),
        8 | 32_946 => Cow::Owned(codec::deflate(&compressed, length)?),
        32_773 => Cow::Owned(codec::pack_bits(&compressed, length)?),
        _ => compressed,
    })
}

fn compressed<'s>(page: &Page, source: &'s Source<'_>, index: usize, length: usize) -> Decoded<Cow<'s, [u8]>> {
    let offset = *page.offsets.get(index).ok_or_else(short)?;
    let count = page.counts.as_ref().and_then(|counts| counts.get(index)).copied();
    if offset == 0 {
        return Err(Refusal::not_read("a tif with pieces left out (a sparse one)"));
    }
    let rest = source.length().checked_sub(offset).ok_or_else(short)?;
    if page.compression == 1 {
        // Programs that write wrong counts are many; 0 stands for none.
        if count.is_some_and(|count| count != 0 && count < length as u64) {
            return Err(short());
        }
        return source.bytes(offset, length)?.ok_or_else(short);
    }
    let count = usize::try_from(count.unwrap_or(rest)).map_err(|_| short())?;
    source.bytes(offset, count)?.ok_or_else(short)
}

fn from_jpeg(page: &Page, stream: &[u8], length: usize) -> Decoded<Vec<u8>> {
    let mut joined = Vec::new();
    if let Some(tables) = &page.jpeg_tables {
        // Both have a start of image; the tables also have an end of image.
        joined.extend_from_slice(tables.strip_suffix(b"\xFF\xD9").unwrap_or(tables));
        joined.extend_from_slice(stream.get(2..).unwrap_or_default());
    } else {
        joined.extend_from_slice(stream);
    }
    let header = jpeg::header(&joined)?;
    let components = usize::from(header.components);
    if components != page.samples_together() || header.size.0 != page.chunk.0 {
        let (width, height) = header.size;
        return Err(Refusal::damaged(format!("a JPEG of {width}×{height}×{components} in it")));
    }
    if !jpeg::has_end(&joined) {
        return Err(short());
    }
    let colours = if page.photometric == 6 { Colours::Shown } else { Colours::Stored };
    let mut pixels = jpeg::pixels(&joined, colours)?;
    if pixels.len() < length {
        return Err(short());
    }
    pixels.truncate(length);
    Ok(pixels)
}
