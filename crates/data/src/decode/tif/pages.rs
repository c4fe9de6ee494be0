//! The pages of a tif, and which one is read.

use super::directory::{Directory, Tif};
use crate::decode::orientation::{TAG, valid};
use crate::decode::refusal::{Decoded, Refusal};
use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const DESCRIPTION: u16 = 270;
const OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
/// The planes of a MetaMorph stack: one value each.
const METAMORPH_PLANES: u16 = 33_629;

/// The page that is read.
pub(super) struct Chosen {
    pub(super) directory: Directory,
    /// Its place among the frames that follow each other behind one directory; 0 is where the directory points.
    pub(super) frame: u64,
}

/// Page `page` (from 1), or the only one. Smaller copies (thumbnails, levels of pyramids) and transparency masks are not
/// counted.
///
/// # Errors
/// Several pages and no `page`; fewer pages than `page`; a damaged list of pages.
pub(super) fn choose<R: Read + Seek>(tif: &mut Tif<R>, page: Option<usize>) -> Decoded<Chosen> {
    let full = full_pages(tif, page)?;
    let [first, rest @ ..] = full.as_slice() else { return Err(Refusal::damaged("no page")) };
    let directory = tif.directory(*first)?;
    let frames = if rest.is_empty() { frames(tif, &directory)? } else { 1 };
    let count = full.len() as u64 * frames;
    match page {
        None if count > 1 => {
            let how = if frames > 1 { ", a stack behind one directory" } else { "" };
            let cure =
                format!("set `page = 1` (or up to {count}) for the data set, or save each page as an image of its own");
            let command = format!("give `--page 1` (or up to {count}), or save each page as an image of its own");
            Err(Refusal::new(format!("a tif of {count} pages{how}"), cure).or_on_command_line(command))
        }
        Some(page) if page as u64 > count => {
            let pages = if count == 1 { "1 page".to_owned() } else { format!("{count} pages") };
            let refusal =
                Refusal::new(format!("a tif of {pages}, and `page` is {page}"), "correct the data set's `page`");
            Err(refusal.or_on_command_line("correct `--page`"))
        }
        Some(page) if frames > 1 => Ok(Chosen { directory, frame: page as u64 - 1 }),
        Some(page) => Ok(Chosen { directory: tif.directory(full[page - 1])?, frame: 0 }),
        None => Ok(Chosen { directory, frame: 0 }),
    }
}

/// Number of pages that [`choose`] counts.
///
/// # Errors
/// A damaged list of pages.
pub(in crate::decode) fn page_count(bytes: &[u8]) -> Decoded<u64> {
    let mut tif = Tif::open(Cursor::new(bytes))?;
    let full = full_pages(&mut tif, None)?;
    match full.as_slice() {
        [only] => {
            let directory = tif.directory(*only)?;
            frames(&mut tif, &directory)
        }
        pages => Ok(pages.len() as u64),
    }
}

/// The orientation of the page that is read.
///
/// # Errors
/// As [`choose`].
pub(in crate::decode) fn orientation<R: Read + Seek>(source: R, page: Option<usize>) -> Decoded<u8> {
    let mut tif = Tif::open(source)?;
    let chosen = choose(&mut tif, page)?;
    Ok(tif.first_number(&chosen.directory, TAG).ok().flatten().map_or(1, valid))
}

/// The orientation in EXIF data, which is a tif without image; 1 if it has none.
pub(in crate::decode) fn exif_orientation(exif: &[u8]) -> u8 {
    let read = || {
        let mut tif = Tif::open(Cursor::new(exif))?;
        let first = tif.first;
        // The list of directories behind the first one is often cut.
        let directory = tif.directory(first)?;
        tif.first_number(&directory, TAG)
    };
    read().ok().flatten().map_or(1, valid)
}

/// Offsets of the directories of full pages (of all, if none is full). With `page`, a list that is damaged behind it is
/// good enough.
fn full_pages<R: Read + Seek>(tif: &mut Tif<R>, page: Option<usize>) -> Decoded<Vec<u64>> {
    let (mut all, mut full, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (mut next, mut bytes) = (tif.first, 0);
    while next != 0 {
        let directory = if seen.insert(next) {
            tif.directory(next)
        } else {
            Err(Refusal::damaged("its list of pages is a circle"))
        };
        let directory = match directory {
            Ok(directory) => directory,
            Err(_) if page.is_some_and(|page| page <= full.len()) => break,
            Err(refusal) => return Err(refusal),
        };
        // Directories that lie across each other could take for ever.
        bytes += directory.bytes;
        if bytes > tif.length() {
            return Err(Refusal::damaged("its pages lie across each other"));
        }
        if !is_smaller_copy(tif, &directory)? {
            full.push(next);
        }
        all.push(next);
        next = directory.next;
    }
    Ok(if full.is_empty() { all } else { full })
}

/// Whether a page is a smaller version of another one, or the transparency mask of another one (TIFF 6.0, section 8:
/// `NewSubfileType`, and `SubfileType` before it).
fn is_smaller_copy<R: Read + Seek>(tif: &mut Tif<R>, directory: &Directory) -> Decoded<bool> {
    const REDUCED_OR_TRANSPARENCY: u64 = 1 | 4;
    const REDUCED: u64 = 2;
    let new = tif.first_number(directory, 254)?.unwrap_or(0);
    let old = if directory.has(254) { 0 } else { tif.first_number(directory, 255)?.unwrap_or(0) };
    Ok(new & REDUCED_OR_TRANSPARENCY != 0 || old == REDUCED)
}

/// Number of frames whose pixels follow each other behind one directory: ImageJ, tifffile and MetaMorph write stacks so.
fn frames<R: Read + Seek>(tif: &mut Tif<R>, directory: &Directory) -> Decoded<u64> {
    let uncompressed = tif.first_number(directory, COMPRESSION)?.unwrap_or(1) == 1;
    let mut one = |tag, default| tif.first_number(directory, tag).map(|found| found.unwrap_or(default));
    let (width, height, samples, bits) = (one(WIDTH, 0)?, one(HEIGHT, 0)?, one(SAMPLES, 1)?, one(BITS, 1)?);
    let start = one(OFFSETS, 0)?;
    let values = width.saturating_mul(height).saturating_mul(samples);
    let frame = width.saturating_mul(samples).saturating_mul(bits).div_ceil(8).saturating_mul(height);
    let text = tif.tag_bytes(directory, DESCRIPTION)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let said = match directory.count(METAMORPH_PLANES) {
        0 => images_said(&text, values),
        planes => planes,
    };
    if said <= 1 || !uncompressed || frame == 0 {
        return Ok(1);
    }
    let behind = tif.length().saturating_sub(start).saturating_sub(frame);
    if frame.saturating_mul(said - 1) <= behind {
        return Ok(said);
    }
    if behind >= frame / 2 {
        return Err(Refusal::damaged(format!("a stack of {said} images with fewer of them in the file")));
    }
    // One page of a stack that was saved alone keeps the description.
    Ok(1)
}

/// How many images a description speaks of, of `values` values each.
fn images_said(description: &str, values: u64) -> u64 {
    let description = description.trim_end_matches('\0').trim();
    if description.starts_with("ImageJ=") {
        let images = description.lines().find_map(|line| line.trim().strip_prefix("images="));
        return images.and_then(|images| images.trim().parse().ok()).unwrap_or(1);
    }
    #[derive(serde::Deserialize)]
    struct Shaped {
        shape: Vec<u64>,
    }
    match serde_json::from_str::<Shaped>(description) {
        Ok(Shaped { shape }) if values > 0 => shape.iter().fold(1, |all: u64, &n| all.saturating_mul(n)) / values,
        _ => 1,
    }
}
