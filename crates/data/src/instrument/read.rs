//! The metadata of an image, of whichever vendor.

use super::statements::{Instrument, Statements};
use super::text::{decoded, latin_1};
use super::tiff_tags::{ReadAt, TiffTags};
use super::{fei, hitachi, imagej, jeol, ome, tescan, tiff_resolution, zeiss};

const IMAGE_DESCRIPTION: u16 = 270;
const ORIENTATION: u16 = 274;
const RESOLUTION: [u16; 2] = [282, 283];
const RESOLUTION_UNIT: u16 = 296;
const ZEISS: u16 = 34_118;
const FEI: [u16; 2] = [34_682, 34_680];
const TESCAN: u16 = 50_431;

/// What is known of an image file with the content `bytes`, and its side file's content if it has one. `size` are the
/// image's width and height, turned upright. What is in the file comes before its side file, and a vendor's own metadata
/// before TIFF's resolution.
pub(crate) fn read(bytes: &[u8], side_file: Option<&[u8]>, size: (usize, usize)) -> Instrument {
    let inside = |at: u64, length: usize| {
        let at = usize::try_from(at).ok()?;
        Some(bytes.get(at..at.checked_add(length)?)?.to_vec())
    };
    read_at(&inside, side_file, size)
}

/// As [`read`], of a file that is not in memory.
pub(crate) fn read_at(file: &ReadAt<'_>, side_file: Option<&[u8]>, size: (usize, usize)) -> Instrument {
    let tags = TiffTags::of(file);
    let orientation = tags.as_ref().and_then(|tags| tags.number(ORIENTATION)).unwrap_or(1);
    // Orientations from 5 on exchange rows and columns.
    let is_turned = (5..=8).contains(&orientation);
    let stored = if is_turned { (size.1, size.0) } else { size };
    let embedded = tags.as_ref().and_then(|tags| in_tiff(tags, stored.0));
    let found = embedded.or_else(|| side_file.and_then(in_side_file)).or_else(|| tags.as_ref().and_then(resolution));
    let Some(statements) = found else { return Instrument::unknown() };
    let mut instrument = statements.hold_against(stored);
    if is_turned && let Some(size) = &mut instrument.pixel_size {
        size.reverse();
    }
    instrument
}

fn in_tiff(tags: &TiffTags, width: usize) -> Option<Statements> {
    let text = |tag: u16| tags.bytes(tag).map(decoded);
    let description = text(IMAGE_DESCRIPTION).unwrap_or_default();
    let mut readers = [
        FEI.iter().find_map(|&tag| text(tag)).map(|text| fei::statements(&text)),
        text(ZEISS).map(|text| zeiss::statements(&text, width)),
        // Other bytes come before TESCAN's text.
        tags.bytes(TESCAN).map(|bytes| tescan::statements(&latin_1(bytes))),
        ome::statements(&description),
        imagej::is_it(&description).then(|| imagej::statements(&description, resolutions(tags))),
    ]
    .into_iter()
    .flatten();
    readers.find(Statements::say_something)
}

fn in_side_file(bytes: &[u8]) -> Option<Statements> {
    let text = decoded(bytes);
    let statements = if jeol::is_it(&text) {
        jeol::statements(&text)
    } else if hitachi::is_it(&text) {
        hitachi::statements(&text)
    } else {
        tescan::statements(&text)
    };
    Some(statements).filter(Statements::say_something)
}

fn resolution(tags: &TiffTags) -> Option<Statements> {
    const INCH: u64 = 2;
    // ImageJ's resolution is per its own unit, which the description has.
    let is_image_j = tags.bytes(IMAGE_DESCRIPTION).is_some_and(|text| imagej::is_it(&decoded(text)));
    let unit = tags.number(RESOLUTION_UNIT).unwrap_or(INCH);
    let statements = (!is_image_j).then(|| tiff_resolution::statements(resolutions(tags), unit));
    statements.filter(Statements::say_something)
}

fn resolutions(tags: &TiffTags) -> [Option<f64>; 2] {
    RESOLUTION.map(|tag| tags.fraction(tag))
}
