//! How one page of a tif stores its pixels.

use super::directory::Tif;
use super::names;
use super::pages::{Chosen, choose};
use crate::decode::header::checked_size_up_to;
use crate::decode::orientation::{TAG, valid};
use crate::decode::refusal::{Decoded, Refusal};
use crate::decode::stored::{Stored, Values};
use std::io::{Read, Seek};

/// What the bits of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Floating,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) size: (usize, usize),
    /// Bits of a value.
    pub(super) bits: u8,
    /// Values a pixel.
    pub(super) samples: usize,
    pub(super) format: Format,
    pub(super) photometric: u16,
    pub(super) compression: u16,
    pub(super) predictor: u16,
    /// Whether each channel is stored apart.
    pub(super) is_planar: bool,
    /// Whether the first bit of a byte is its lowest.
    pub(super) is_reversed: bool,
    pub(super) is_big_endian: bool,
    pub(super) has_alpha: bool,
    pub(super) orientation: u8,
    /// Width and height of a strip or tile.
    pub(super) chunk: (usize, usize),
    /// Where each begins in the file, and its bytes if they are said.
    pub(super) offsets: Vec<u64>,
    pub(super) counts: Option<Vec<u64>>,
    pub(super) palette: Option<Vec<[u8; 4]>>,
    /// Tables that all JPEG streams of the page share.
    pub(super) jpeg_tables: Option<Vec<u8>>,
}

/// Largest number of values for each of the largest number of pixels.
const VALUES_A_PIXEL: u64 = 4;

/// Bytes of a strip without compression that is left as it is.
const SHORT_STRIP: usize = 1 << 20;
/// Bytes of the strips that longer ones are cut into, at least.
const SHORTEST_STRIP: usize = 1 << 16;

impl Page {
    /// Reads the tags of page `page` (from 1) of a tif, or of its only page, of at most `most` pixels.
    ///
    /// # Errors
    /// As [`choose`] and [`Page::read`].
    pub(super) fn open(source: impl Read + Seek, page: Option<usize>, most: u64) -> Decoded<Page> {
        let mut tif = Tif::open(source)?;
        let chosen = choose(&mut tif, page)?;
        Page::read(&mut tif, &chosen, most)
    }

    /// Reads the tags of a page of at most `most` pixels.
    ///
    /// # Errors
    /// They are damaged, contradict each other, or the page is too large. A way of storing pixels that is not
    /// read is no error here.
    fn read<R: Read + Seek>(tif: &mut Tif<R>, chosen: &Chosen, most: u64) -> Decoded<Page> {
        let directory = &chosen.directory;
        let mut one = |tag: u16| tif.first_number(directory, tag);
        let missing = |what: &str| Refusal::damaged(format!("no {what}"));
        let (width, height) = (one(256)?.ok_or_else(|| missing("width"))?, one(257)?.ok_or_else(|| missing("height"))?);
        let size = checked_size_up_to(most, width, height)?;
        let samples = one(277)?.unwrap_or(1) as usize;
        let values = (samples as u64).checked_mul(size.0 as u64 * size.1 as u64);
        if samples == 0 || values.is_none_or(|values| values > VALUES_A_PIXEL * most) {
            return Err(Refusal::damaged(format!("{samples} values a pixel")));
        }
        let small = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        let photometric = one(262)?.map(small).ok_or_else(|| {
            let problem = "a tif that does not say what its values are (no tag 262: grey, RGB or a palette)";
            Refusal::new(problem, "save it as png, or as tif with another program")
        })?;
        let compression = one(259)?.map_or(1, small);
        let predictor = one(317)?.map_or(1, small);
        let is_planar = samples > 1 && one(284)? == Some(2);
        let is_reversed = one(266)? == Some(2);
        let orientation = one(TAG).ok().flatten().map_or(1, valid);
        let chunk = match (one(322)?, one(323)?) {
            (Some(across), Some(down)) => (across as usize, down as usize),
            _ => {
                let rows = one(278)?.filter(|&rows| rows > 0).unwrap_or(height).min(height);
                (size.0, rows as usize)
            }
        };
        if chunk.0 == 0 || chunk.1 == 0 || chunk.0 as u64 > u64::from(u32::MAX) || chunk.1 as u64 > u64::from(u32::MAX)
        {
            return Err(Refusal::damaged(format!("tiles of {}×{}", chunk.0, chunk.1)));
        }
        let bits = tif.numbers(directory, 258)?.unwrap_or_else(|| vec![1]);
        let bits = same(&bits, samples).ok_or_else(|| Refusal::not_read(format!("a tif of {} bits", listed(&bits))))?;
        let formats = tif.numbers(directory, 339)?.unwrap_or_else(|| vec![1]);
        let format = match same(&formats, samples) {
            Some(1 | 4) => Format::Unsigned,
            Some(2) => Format::Signed,
            Some(3) => Format::Floating,
            Some(5 | 6) => return Err(Refusal::not_read("a tif of complex numbers")),
            _ => return Err(Refusal::not_read(format!("a tif of the sample formats {}", listed(&formats)))),
        };
        let has_alpha = matches!(tif.first_number(directory, 338)?, Some(1 | 2));
        let (offsets, counts) = if directory.has(324) { (324, 325) } else { (273, 279) };
        let page = Page {
            size,
            bits: u8::try_from(bits)
                .ok()
                .filter(|bits| (1..=64).contains(bits))
                .ok_or_else(|| Refusal::damaged(format!("{bits} bits a value")))?,
            samples,
            format,
            photometric,
            compression,
            predictor,
            is_planar,
            is_reversed,
            is_big_endian: tif.is_big_endian,
            has_alpha,
            orientation,
            chunk,
            offsets: tif.numbers(directory, offsets)?.unwrap_or_default(),
            counts: tif.numbers(directory, counts)?,
            palette: if photometric == 3 { palette(tif, chosen, bits)? } else { None },
            jpeg_tables: if compression == 7 { tif.tag_bytes(directory, 347)? } else { None },
        };
        page.of_frame(chosen.frame)
    }

    /// How many values of a pixel are grey or RGB.
    pub(super) fn colours(&self) -> usize {
        if matches!(self.photometric, 2 | 6) { 3 } else { 1 }
    }

    /// Bytes of a row of `pixels` pixels in a strip or tile.
    pub(super) fn row_bytes(&self, pixels: usize) -> Option<usize> {
        pixels.checked_mul(self.samples_together())?.checked_mul(usize::from(self.bits)).map(|bits| bits.div_ceil(8))
    }

    /// Values of a pixel that stand together.
    pub(super) fn samples_together(&self) -> usize {
        if self.is_planar { 1 } else { self.samples }
    }

    /// The page whose pixels are `frame` frames behind those of this one.
    fn of_frame(mut self, frame: u64) -> Decoded<Page> {
        if frame == 0 {
            return Ok(self);
        }
        let planes = if self.is_planar { self.samples } else { 1 };
        let plane = self.row_bytes(self.size.0).unwrap_or(usize::MAX).saturating_mul(self.size.1) as u64;
        let first = self.offsets.first().copied().unwrap_or(0);
        let start = plane.saturating_mul(planes as u64).saturating_mul(frame).saturating_add(first);
        self.chunk = self.size;
        self.offsets = (0..planes as u64).map(|i| start.saturating_add(plane.saturating_mul(i))).collect();
        self.counts = None;
        Ok(self)
    }

    /// The same page, long strips without compression as several short ones: every row of them can be read alone. Strips that
    /// the file does not have are left as they are.
    pub(super) fn with_short_strips(mut self) -> Page {
        let (height, rows) = (self.size.1, self.chunk.1.min(self.size.1));
        let Some(row_bytes) = self.row_bytes(self.chunk.0).filter(|&bytes| bytes > 0) else { return self };
        let is_long = row_bytes.saturating_mul(rows) > SHORT_STRIP;
        if self.compression != 1 || self.chunk.0 != self.size.0 || !is_long {
            return self;
        }
        let down = height.div_ceil(rows);
        let least = SHORTEST_STRIP.div_ceil(row_bytes);
        // All but the last of the short strips must have as many rows.
        let short = if down == 1 {
            Some(least)
        } else {
            (least..=(SHORT_STRIP / row_bytes).max(least)).find(|&short| rows % short == 0)
        };
        let Some(short) = short.filter(|&short| short < rows) else { return self };
        let strips = down * if self.is_planar { self.samples } else { 1 };
        let rows_of = |strip: usize| rows.min(height - strip % down * rows);
        let is_there = |strip: usize| {
            let count = self.counts.as_ref().and_then(|counts| counts.get(strip)).copied().unwrap_or(0);
            let is_long_enough = count == 0 || count >= (row_bytes * rows_of(strip)) as u64;
            self.offsets.get(strip).is_some_and(|&offset| offset > 0) && is_long_enough
        };
        if !(0..strips).all(is_there) {
            return self;
        }
        let cut = |strip: usize| (0..rows_of(strip)).step_by(short).map(move |row| (strip, row));
        let offset = |(strip, row): (usize, usize)| self.offsets[strip].saturating_add((row * row_bytes) as u64);
        let offsets = (0..strips).flat_map(cut).map(offset).collect();
        (self.offsets, self.counts, self.chunk.1) = (offsets, None, short);
        self
    }

    /// `values` of a part of `size` pixels of this page, with what the page says of them.
    pub(super) fn stored(&self, size: (usize, usize), values: Values) -> Stored {
        Stored {
            size,
            channels: self.samples,
            colours: self.colours(),
            has_alpha: self.has_alpha,
            bits: self.bits,
            values,
            is_inverted: self.photometric == 0,
            palette: self.palette.clone(),
            orientation: self.orientation,
        }
    }

    /// Refuses, by name, what is not read.
    ///
    /// # Errors
    /// The compression, the colours, or the kind of values.
    pub(super) fn check(&self) -> Decoded<()> {
        let compression = names::compression(self.compression);
        if !matches!(self.compression, 1 | 4 | 5 | 7 | 8 | 32_773 | 32_946) {
            return Err(Refusal::not_read(format!("a tif compressed by {compression}")));
        }
        let colours = self.colours();
        let is_read = match self.photometric {
            0..=2 => true,
            3 => self.samples == 1 && self.bits <= 8,
            6 => self.compression == 7 && !self.is_planar && self.samples == 3,
            _ => false,
        };
        if !is_read {
            let colours = names::photometric(self.photometric);
            return Err(Refusal::not_read(format!("a tif in {colours} ({} bits, {compression})", self.bits)));
        }
        if self.photometric == 3 && self.palette.is_none() {
            return Err(Refusal::damaged("no palette"));
        }
        if self.samples < colours {
            return Err(Refusal::damaged(format!("RGB of {} values a pixel", self.samples)));
        }
        let is_depth_read = match self.format {
            Format::Unsigned => matches!(self.bits, 1..=16 | 32 | 64),
            Format::Signed => matches!(self.bits, 8 | 16 | 32 | 64),
            Format::Floating => matches!(self.bits, 16 | 32 | 64),
        };
        if !is_depth_read || (self.compression == 7 && self.bits != 8) {
            let format = match self.format {
                Format::Unsigned => "",
                Format::Signed => "signed ",
                Format::Floating => "floating-point ",
            };
            let jpeg = if self.compression == 7 { " compressed by JPEG" } else { "" };
            return Err(Refusal::not_read(format!("a tif of {} {format}bits a value{jpeg}", self.bits)));
        }
        let is_predictor_read = match self.predictor {
            1 => true,
            // Programs do not agree what a predictor means without a compression that has one.
            _ if !matches!(self.compression, 5 | 8 | 32_946) => matches!(self.compression, 4 | 7),
            2 => matches!(self.bits, 8 | 16 | 32 | 64),
            3 => self.format == Format::Floating,
            _ => false,
        };
        if !is_predictor_read {
            let problem = format!("a tif with predictor {} on {} bits and {compression}", self.predictor, self.bits);
            return Err(Refusal::not_read(problem));
        }
        if self.compression == 4 && (self.bits, self.samples) != (1, 1) {
            return Err(Refusal::damaged(format!("{compression} of {} bits", self.bits)));
        }
        Ok(())
    }
}

/// The value that all have; there may be one for each of `samples` or one for all.
fn same(values: &[u64], samples: usize) -> Option<u64> {
    let values = &values[..values.len().min(samples)];
    let first = *values.first()?;
    values.iter().all(|&value| value == first).then_some(first)
}

fn listed(values: &[u64]) -> String {
    values.iter().take(8).map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// The colours of a palette: all red values, all green ones, all blue ones, 16 bits each.
fn palette<R: Read + Seek>(tif: &mut Tif<R>, chosen: &Chosen, bits: u64) -> Decoded<Option<Vec<[u8; 4]>>> {
    let Some(map) = tif.numbers(&chosen.directory, 320)? else { return Ok(None) };
    let length = 1 << bits.min(16);
    if map.len() < 3 * length {
        return Err(Refusal::damaged(format!("a palette of {} values", map.len())));
    }
    // Some programs write 8 bits, as libtiff knows.
    let shift = if map.iter().any(|&value| value > 255) { 8 } else { 0 };
    let byte = |at: usize| (map[at] >> shift).min(255) as u8;
    Ok(Some((0..length).map(|i| [byte(i), byte(length + i), byte(2 * length + i), u8::MAX]).collect()))
}
