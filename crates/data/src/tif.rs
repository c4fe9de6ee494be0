//! What the decoder of tifs does not tell: pages, and which way round grey values are stored.

use std::collections::BTreeSet;

/// The directories of a tif (TIFF 6.0, section 2; BigTIFF), as far as they can be read: of a damaged one the decoder says
/// what is wrong.
struct Directories<'b> {
    bytes: &'b [u8],
    little_endian: bool,
    /// Lengths of an offset, of the number of entries, and of an entry.
    offset: usize,
    count: usize,
    entry: usize,
}

/// Where a directory's entries lie, and the next directory.
struct Directory {
    start: usize,
    end: usize,
    next: usize,
}

impl<'b> Directories<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        let mut found = Directories { bytes, little_endian: bytes.starts_with(b"II"), offset: 4, count: 2, entry: 12 };
        if found.number(2, 2) == Some(43) {
            (found.offset, found.count, found.entry) = (8, 8, 20);
        }
        found
    }

    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let push = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        Some(if self.little_endian { bytes.iter().rev().fold(0, push) } else { bytes.iter().fold(0, push) })
    }

    fn place(&self, at: usize) -> usize {
        self.number(at, self.offset).and_then(|at| usize::try_from(at).ok()).unwrap_or(0)
    }

    fn first(&self) -> usize {
        self.place(self.offset)
    }

    fn read(&self, at: usize) -> Option<Directory> {
        let entries = usize::try_from(self.number(at, self.count)?).ok()?;
        let start = at + self.count;
        let end = entries.checked_mul(self.entry)?.checked_add(start).filter(|&end| end <= self.bytes.len())?;
        Some(Directory { start, end, next: self.place(end) })
    }

    /// The value of `tag`, a number that stands in the entry itself.
    fn value(&self, directory: &Directory, tag: u64) -> Option<u64> {
        const SHORT: u64 = 3;
        let mut entries = (directory.start..directory.end).step_by(self.entry);
        let at = entries.find(|&at| self.number(at, 2) == Some(tag))?;
        let length = if self.number(at + 2, 2)? == SHORT { 2 } else { 4 };
        self.number(at + self.entry - self.offset, length)
    }
}

/// Counts the pages by the chain of the tif's directories, without those marked as a smaller version of another (a
/// thumbnail) or its transparency. A chain that ends in nothing ends.
pub(super) fn pages(bytes: &[u8]) -> usize {
    const SUBFILE_TYPE: u64 = 254;
    const REDUCED_OR_TRANSPARENCY: u64 = 1 | 4;
    let directories = Directories::of(bytes);
    let (mut pages, mut seen) = (0, BTreeSet::new());
    let mut at = directories.first();
    while at != 0 && seen.insert(at) {
        let Some(directory) = directories.read(at) else { break };
        let kind = directories.value(&directory, SUBFILE_TYPE).unwrap_or(0);
        pages += usize::from(kind & REDUCED_OR_TRANSPARENCY == 0);
        at = directory.next;
    }
    pages
}

/// Whether 0 stands for white and the largest value for black.
pub(super) fn white_is_zero(bytes: &[u8]) -> bool {
    const PHOTOMETRIC_INTERPRETATION: u64 = 262;
    let directories = Directories::of(bytes);
    let first = directories.read(directories.first());
    first.and_then(|first| directories.value(&first, PHOTOMETRIC_INTERPRETATION)) == Some(0)
}
