//! An image that is read in parts: any rows of it, with the values that it has if it is read at once.

use super::facts::Facts;
use super::guard::guarded;
use super::options::ImageOptions;
use super::orientation::upright;
use super::pixels::pixels;
use super::refusal::Decoded;
use super::scale::is_deep;
use super::source::Source;
use super::stored::{Stored, Values};
use super::tif::Pieces;
use crate::{DataError, Micrograph};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of decoded rows of pieces that are kept for the next call; of larger ones, the last.
const KEPT: usize = 64 << 20;
/// Pieces that are decoded side by side, at most, and the bytes of their values.
const TOGETHER: (usize, usize) = (64, 32 << 20);

/// A tif whose strips or tiles are decoded where their rows are asked for.
#[derive(Debug)]
pub(crate) struct Parts {
    path: PathBuf,
    source: Source<'static>,
    pieces: Pieces,
    options: ImageOptions,
    /// Facts of the whole image, if something hangs on them: otherwise each piece is read by its own.
    facts: Option<Facts>,
    has_negative: bool,
    channels: usize,
    /// Rows of pieces, decoded, as stored.
    kept: BTreeMap<usize, Vec<u8>>,
    /// Bytes of them, at most, between two calls; of larger ones, the last is kept.
    most_kept: usize,
}

impl Parts {
    /// The image in `pieces` of `source`. Where all pixels together decide how it is read, they are looked at, piece by piece,
    /// until it is decided.
    ///
    /// # Errors
    /// As [`super::decode_image`], as far as it was looked at.
    pub(super) fn open(path: &Path, source: Source<'static>, pieces: Pieces, options: &ImageOptions) -> Decoded<Parts> {
        let mut parts = Parts {
            path: path.into(),
            source,
            pieces,
            options: options.clone(),
            facts: None,
            has_negative: false,
            channels: 0,
            kept: BTreeMap::new(),
            most_kept: KEPT,
        };
        let empty = parts.empty();
        if parts.pieces.may_be_negative() || parts.hangs_on_all(&empty) {
            let (facts, has_negative) = parts.survey(|facts, negative| parts.is_decided(&empty, facts, negative))?;
            (parts.facts, parts.has_negative) = (Some(facts), has_negative);
        }
        let facts = parts.facts.clone().unwrap_or_else(Facts::none);
        parts.channels = pixels(parts.empty(), &facts, options)?.1;
        Ok(parts)
    }

    /// Width and height, upright.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.pieces.size()
    }

    /// Values a pixel. RGB with equal channels is not yet grey.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// The rows `rows` of the upright image.
    ///
    /// # Errors
    /// A piece of them is damaged, or has values that the options do not allow.
    pub(crate) fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let (width, height) = self.size();
        assert!(rows.start <= rows.end && rows.end <= height, "rows {rows:?} of {height}");
        let (orientation, channels) = (self.pieces.orientation(), self.channels);
        let stored = match orientation {
            3 | 4 => height - rows.end..height - rows.start,
            _ => rows,
        };
        let size = (width, stored.len());
        let pixels = self.stored_rows(stored).map_err(|refusal| refusal.on_command_line(&self.path))?;
        let (pixels, _) = upright(pixels, size, channels, orientation);
        Ok(Micrograph { width, height: size.1, channels, pixels })
    }

    /// The bytes of each row of pieces that is kept, after no more than `most` may be.
    #[cfg(test)]
    pub(crate) fn kept(&mut self, most: usize) -> Vec<usize> {
        self.most_kept = most;
        self.kept.values().map(Vec::len).collect()
    }

    /// No pixels, with what the file says of them.
    fn empty(&self) -> Stored {
        self.pieces.stored((0, 0), self.pieces.no_values(), self.has_negative)
    }

    /// Whether an image like `stored` is read by what all its pixels are.
    fn hangs_on_all(&self, stored: &Stored) -> bool {
        let ImageOptions { bits, range, channels, .. } = &self.options;
        let may_be_alpha = channels.is_none() && stored.channels == stored.colours + 1;
        let may_be_grey = channels.is_none() && stored.palette.is_some();
        may_be_alpha
            || may_be_grey
            || match stored.values {
                Values::U8(_) => false,
                Values::U16(_) => range.is_none() && bits.is_none() && stored.bits == 16,
                // Without `range` the refusal says what the values are.
                Values::Real(..) => range.is_none(),
            }
    }

    /// Whether further pixels of an image like `stored` can decide nothing more.
    fn is_decided(&self, stored: &Stored, facts: &Facts, has_negative: bool) -> bool {
        if self.options.channels.is_none() && stored.channels == stored.colours + 1 {
            let alpha = facts.channel(stored.colours);
            return !alpha.is_finite || alpha.smallest < alpha.largest;
        }
        if self.pieces.may_be_negative() {
            return has_negative && self.options.range.is_some();
        }
        if let Some(palette) = &stored.palette {
            let is_grey = |&[red, green, blue, _]: &[u8; 4]| red == green && green == blue;
            return palette.iter().zip(facts.used).any(|(colour, is_used)| is_used && !is_grey(colour));
        }
        match (&stored.values, &self.options.channels) {
            (Values::U16(_), Some(picked)) => is_deep(facts.channels(picked.iter().copied()).largest),
            (Values::U16(_), None) => is_deep(facts.channels(0..stored.colours).largest),
            _ => false,
        }
    }

    /// The facts of all pieces, and whether one has a negative value; of the first pieces, if these are enough for `is_decided`.
    fn survey(&self, is_decided: impl Fn(&Facts, bool) -> bool) -> Decoded<(Facts, bool)> {
        let (across, down) = self.pieces.count();
        let (mut facts, mut has_negative) = (Facts::none(), false);
        let together = self.together();
        for first in (0..across * down).step_by(together) {
            let looked_at: Vec<Decoded<(Facts, bool)>> = (first..(first + together).min(across * down))
                .into_par_iter()
                .map(|i| {
                    guarded(|| {
                        let (values, is_negative) = self.pieces.values(&self.source, (i % across, i / across))?;
                        // The extent of signed values is told in a refusal, also of pieces without negative ones.
                        let is_signed = is_negative || self.pieces.may_be_negative() && !self.pieces.has_palette();
                        let stored = self.pieces.stored((0, 0), values, is_signed);
                        Ok((Facts::of(&stored, &self.options), is_negative))
                    })
                })
                .collect();
            for piece in looked_at {
                let (of_piece, is_negative) = piece?;
                facts.join(&of_piece);
                has_negative |= is_negative;
            }
            if is_decided(&facts, has_negative) {
                break;
            }
        }
        Ok((facts, has_negative))
    }

    /// How many pieces are decoded side by side.
    fn together(&self) -> usize {
        (TOGETHER.1 / self.pieces.most_bytes().max(1)).clamp(1, TOGETHER.0)
    }

    /// The rows `rows` as stored.
    fn stored_rows(&mut self, rows: Range<usize>) -> Decoded<Vec<u8>> {
        let line = self.size().0 * self.channels;
        let mut pixels = Vec::with_capacity(rows.len() * line);
        if rows.is_empty() {
            return Ok(pixels);
        }
        let high = self.pieces.rows();
        let bands = rows.start / high..(rows.end - 1) / high + 1;
        for band in bands.clone() {
            if !self.kept.contains_key(&band) {
                self.decode(band..bands.end)?;
            }
            let first = band * high;
            let part = rows.start.max(first) - first..rows.end.min(first + high) - first;
            pixels.extend_from_slice(&self.kept[&band][part.start * line..part.end * line]);
        }
        self.forget(bands.end - 1, self.most_kept);
        Ok(pixels)
    }

    /// Decodes and keeps the first of the rows of pieces `bands`, and those of the next ones that are not kept, as many as are
    /// decoded side by side.
    fn decode(&mut self, bands: Range<usize>) -> Decoded<()> {
        let across = self.pieces.count().0;
        let most = (self.together() / across).max(1);
        let end = bands.clone().take(most).take_while(|band| !self.kept.contains_key(band)).last();
        let bands = bands.start..end.unwrap_or(bands.start) + 1;
        self.forget(bands.start, self.most_kept / 2);
        let pieces: Vec<Decoded<Vec<u8>>> = (bands.start * across..bands.end * across)
            .into_par_iter()
            .map(|i| guarded(|| self.piece((i % across, i / across))))
            .collect();
        let mut pieces = pieces.into_iter();
        let width = self.size().0;
        for band in bands {
            let mut row = Vec::new();
            for column in 0..across {
                let Some(piece) = pieces.next() else { break };
                let piece = piece?;
                if across == 1 {
                    row = piece;
                    break;
                }
                let (columns, rows) = self.pieces.part(column, band);
                let (line, left) = (columns * self.channels, column * self.pieces.part(0, band).0 * self.channels);
                row.resize(rows * width * self.channels, 0);
                for (to, from) in row.chunks_exact_mut(width * self.channels).zip(piece.chunks_exact(line)) {
                    to[left..left + line].copy_from_slice(from);
                }
            }
            self.kept.insert(band, row);
        }
        Ok(())
    }

    /// One piece, as 8 bits.
    fn piece(&self, at: (usize, usize)) -> Decoded<Vec<u8>> {
        let (values, _) = self.pieces.values(&self.source, at)?;
        let stored = self.pieces.stored(self.pieces.part(at.0, at.1), values, self.has_negative);
        if let Some(facts) = &self.facts {
            return Ok(pixels(stored, facts, &self.options)?.0);
        }
        let facts = Facts::of(&stored, &self.options);
        match pixels(stored, &facts, &self.options) {
            Ok((pixels, _)) => Ok(pixels),
            Err(refusal) => {
                // The refusal gives numbers: those of the whole image.
                let (facts, _) = self.survey(|_, _| false)?;
                pixels(self.empty(), &facts, &self.options)?;
                Err(refusal)
            }
        }
    }

    /// Drops rows of pieces, the farthest from `band` first, until at most `most` bytes are kept, or only `band`.
    fn forget(&mut self, band: usize, most: usize) {
        let mut bytes: usize = self.kept.values().map(Vec::len).sum();
        while bytes > most {
            let (Some((&first, _)), Some((&last, _))) = (self.kept.first_key_value(), self.kept.last_key_value())
            else {
                return;
            };
            let far = if band.abs_diff(first) >= band.abs_diff(last) { first } else { last };
            if far == band {
                return;
            }
            bytes -= self.kept.remove(&far).map_or(0, |row| row.len());
        }
    }
}
