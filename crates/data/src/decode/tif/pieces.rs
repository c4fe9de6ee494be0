//! The strips or tiles of a page, and the values in them.

use super::chunk::chunk;
use super::codec;
use super::page::{Format, Page};
use super::row::{is_negative, place, room, signed, unpredict};
use crate::decode::header::{MAX_PIXELS, MAX_PIXELS_IN_PIECES, SAVE_TILED};
use crate::decode::refusal::{Decoded, Refusal};
use crate::decode::source::Source;
use crate::decode::stored::{Stored, Values};

/// Bytes of a piece that is read alone, at most. A file of larger pieces is read at once.
const LARGEST_PIECE: usize = 128 << 20;
/// Values of a row of pieces, at most, if they are read alone.
const LARGEST_BAND: usize = 256 << 20;
/// Bytes of the values of a piece in memory, likewise.
const LARGEST_VALUES: usize = 256 << 20;

/// How the pieces of a page lie: columns, rows, and planes one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) planes: usize,
}

impl Grid {
    pub(super) fn of(page: &Page) -> Grid {
        let (width, height) = page.size;
        Grid {
            across: width.div_ceil(page.chunk.0),
            down: height.div_ceil(page.chunk.1),
            planes: page.samples / page.samples_together(),
        }
    }

    /// Number of pieces.
    pub(super) fn count(self) -> usize {
        self.across.saturating_mul(self.down).saturating_mul(self.planes)
    }
}

/// All values of `page`, `[height, width, samples]`, before their sign is looked at.
///
/// # Errors
/// A piece is missing or damaged.
pub(super) fn all(page: &Page, source: &Source<'_>) -> Decoded<Values> {
    check(page, source)?;
    let grid = Grid::of(page);
    let mut values = room(page, page.size.0 * page.size.1 * page.samples);
    for plane in 0..grid.planes {
        for piece in 0..grid.across * grid.down {
            let (column, row) = (piece % grid.across, piece / grid.across);
            let at = (column * page.chunk.0, row * page.chunk.1);
            unpack(page, source, (plane, column, row), &mut values, (at, page.size.0))?;
        }
    }
    Ok(values)
}

/// Whether `page` can have all its pieces in `source`.
fn check(page: &Page, source: &Source<'_>) -> Decoded<()> {
    let grid = Grid::of(page);
    page.row_bytes(page.chunk.0).filter(|&bytes| bytes > 0).ok_or_else(codec::short)?;
    check_count(page, grid)?;
    let row = page.row_bytes(page.size.0).unwrap_or(usize::MAX);
    let needed = row.saturating_mul(page.size.1).saturating_mul(grid.planes);
    let length = usize::try_from(source.length()).unwrap_or(usize::MAX);
    if length.saturating_mul(codec::largest_ratio(page.compression)) < needed {
        return Err(codec::short());
    }
    Ok(())
}

/// Whether `page` says where each of its pieces is.
fn check_count(page: &Page, grid: Grid) -> Decoded<()> {
    if page.offsets.len() < grid.count() {
        return Err(Refusal::damaged(format!("{} of {} pieces", page.offsets.len(), grid.count())));
    }
    Ok(())
}

/// Puts the values of a piece, given by its plane, column and row, to (column, row) `at` of `values`, whose rows have `line`
/// pixels.
fn unpack(
    page: &Page,
    source: &Source<'_>,
    (plane, column, row): (usize, usize, usize),
    values: &mut Values,
    (at, line): ((usize, usize), usize),
) -> Decoded<()> {
    let grid = Grid::of(page);
    let (columns, rows) = part(page, column, row);
    let row_bytes = page.row_bytes(page.chunk.0).ok_or_else(codec::short)?;
    let mut data = chunk(page, source, (plane * grid.down + row) * grid.across + column, rows)?;
    let is_big_endian = match page.predictor {
        1 => page.is_big_endian,
        // Group 4 and JPEG have no predictor.
        _ if matches!(page.compression, 4 | 7) => page.is_big_endian,
        _ => unpredict(page, data.to_mut(), row_bytes),
    };
    for (i, bytes) in data.chunks_exact(row_bytes).take(rows).enumerate() {
        let start = ((at.1 + i) * line + at.0) * page.samples + plane;
        let step = if page.is_planar { page.samples } else { 1 };
        place(page, bytes, is_big_endian, values, (start, step, columns * page.samples_together()));
    }
    Ok(())
}

/// Width and height of the part of the piece at (column, row) that lies in the image.
fn part(page: &Page, column: usize, row: usize) -> (usize, usize) {
    let (width, height) = page.size;
    (page.chunk.0.min(width - column * page.chunk.0), page.chunk.1.min(height - row * page.chunk.1))
}

/// Values of a piece of `page`, at most.
fn most_values(page: &Page) -> usize {
    let pixels = page.chunk.0.min(page.size.0) * page.chunk.1.min(page.size.1);
    pixels.saturating_mul(page.samples)
}

/// Bytes of a value in memory.
fn bytes_of_value(page: &Page) -> usize {
    match room(page, 0) {
        Values::U8(_) => 1,
        Values::U16(_) => 2,
        Values::Real(..) => 8,
    }
}

/// A page whose pieces are read one by one.
#[derive(Debug)]
pub(in crate::decode) struct Pieces {
    page: Page,
    grid: Grid,
}

impl Pieces {
    /// Of page `page` (from 1) of the tif `source`, or of its only page. `None` if it must be read at once: its pieces are too
    /// large, the image lies on its side, or the file does not say how long its pieces are.
    ///
    /// # Errors
    /// As [`super::stored`], as far as the tags show it; too large to be read at once.
    pub(in crate::decode) fn open(source: &Source<'_>, page: Option<usize>) -> Decoded<Option<Pieces>> {
        let page = Page::open(source.reader(), page, MAX_PIXELS_IN_PIECES)?;
        page.check()?;
        let page = page.with_short_strips();
        let grid = Grid::of(&page);
        if Pieces::fit(&page, grid) {
            check(&page, source)?;
            return Ok(Some(Pieces { page, grid }));
        }
        check_count(&page, grid)?;
        let (width, height) = page.size;
        if width as u64 * height as u64 > MAX_PIXELS {
            let problem = format!(
                "{width}×{height} is more than {} megapixels, and stored in a way that is read at once only",
                MAX_PIXELS / 1_000_000
            );
            return Err(Refusal::new(problem, SAVE_TILED));
        }
        Ok(None)
    }

    fn fit(page: &Page, grid: Grid) -> bool {
        let rows = page.chunk.1.min(page.size.1);
        let are_long = page.compression == 1 || page.counts.as_ref().is_some_and(|counts| counts.len() >= grid.count());
        let piece = page.row_bytes(page.chunk.0).and_then(|bytes| bytes.checked_mul(rows));
        let band = page.size.0.checked_mul(rows).and_then(|pixels| pixels.checked_mul(page.samples));
        let values = most_values(page).saturating_mul(bytes_of_value(page));
        page.orientation < 5
            && are_long
            && values <= LARGEST_VALUES
            && piece.is_some_and(|bytes| bytes <= LARGEST_PIECE)
            && band.is_some_and(|values| values <= LARGEST_BAND)
    }

    /// Width and height of the image as stored.
    pub(in crate::decode) fn size(&self) -> (usize, usize) {
        self.page.size
    }

    /// 1 to 4.
    pub(in crate::decode) fn orientation(&self) -> u8 {
        self.page.orientation
    }

    /// Number of pieces in a row and of rows of them.
    pub(in crate::decode) fn count(&self) -> (usize, usize) {
        (self.grid.across, self.grid.down)
    }

    /// Rows of pixels in a row of pieces; the last may have fewer.
    pub(in crate::decode) fn rows(&self) -> usize {
        self.page.chunk.1
    }

    /// Width and height of the piece at (column, row).
    pub(in crate::decode) fn part(&self, column: usize, row: usize) -> (usize, usize) {
        part(&self.page, column, row)
    }

    /// Bytes of the values of a piece in memory, at most.
    pub(in crate::decode) fn most_bytes(&self) -> usize {
        most_values(&self.page) * bytes_of_value(&self.page)
    }

    /// Whether negative values would change what the others are ([`Pieces::stored`]).
    pub(in crate::decode) fn may_be_negative(&self) -> bool {
        self.page.format == Format::Signed && self.page.bits <= 16
    }

    /// Whether values are indices into a palette.
    pub(in crate::decode) fn has_palette(&self) -> bool {
        self.page.palette.is_some()
    }

    /// The values of the piece at (column, row), as their bits are, of all channels; and whether one is negative.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub(in crate::decode) fn values(
        &self,
        source: &Source<'_>,
        (column, row): (usize, usize),
    ) -> Decoded<(Values, bool)> {
        let (columns, rows) = self.part(column, row);
        let mut values = room(&self.page, columns * rows * self.page.samples);
        for plane in 0..self.grid.planes {
            unpack(&self.page, source, (plane, column, row), &mut values, ((0, 0), columns))?;
        }
        let is_negative = self.may_be_negative() && is_negative(&values);
        Ok((values, is_negative))
    }

    /// `values` of a part of `size` pixels with what the page says of them. `has_negative`: whether there are negative values
    /// in the whole image.
    pub(in crate::decode) fn stored(&self, size: (usize, usize), values: Values, has_negative: bool) -> Stored {
        self.page.stored(size, if has_negative { signed(values) } else { values })
    }

    /// No values, of the type that the page has.
    pub(in crate::decode) fn no_values(&self) -> Values {
        room(&self.page, 0)
    }
}
