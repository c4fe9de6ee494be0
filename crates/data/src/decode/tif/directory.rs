//! The directories of a tif: lists of tags with their values.

use crate::decode::refusal::{Decoded, Refusal};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

/// A tif whose first eight (or sixteen) bytes were read.
pub(super) struct Tif<R> {
    source: R,
    length: u64,
    pub(super) is_big_endian: bool,
    /// Offsets of 8 bytes.
    is_big: bool,
    /// Offset of the first directory.
    pub(super) first: u64,
}

/// One directory.
#[derive(Debug)]
pub(super) struct Directory {
    entries: BTreeMap<u16, Entry>,
    /// Offset of the next directory; 0 after the last.
    pub(super) next: u64,
    /// Bytes that it takes in the file.
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: u16,
    count: u64,
    /// Offset of its values.
    at: u64,
}

impl<R: Read + Seek> Tif<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Not a tif, or cut short.
    pub(super) fn open(mut source: R) -> Decoded<Self> {
        let length = source.seek(SeekFrom::End(0)).map_err(Refusal::damaged)?;
        let mut tif = Tif { source, length, is_big_endian: false, is_big: false, first: 0 };
        tif.is_big_endian = tif.bytes(0, 2)? == b"MM";
        tif.is_big = tif.number(2, 2)? == 43;
        tif.first = if tif.is_big { tif.number(8, 8)? } else { tif.number(4, 4)? };
        Ok(tif)
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads the directory at the offset `at`.
    ///
    /// # Errors
    /// It does not lie inside of the file.
    pub(super) fn directory(&mut self, at: u64) -> Decoded<Directory> {
        let (head, size, offset) = if self.is_big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head)?;
        let start = at.saturating_add(head);
        let length = count.checked_mul(size).filter(|&length| length <= self.length).ok_or_else(outside)?;
        let table = self.bytes(start, length)?;
        let mut entries = BTreeMap::new();
        for (i, entry) in table.chunks_exact(size as usize).enumerate() {
            let value = size - offset;
            let tag = self.integer(&entry[..2]) as u16;
            let kind = self.integer(&entry[2..4]) as u16;
            let count = self.integer(&entry[4..value as usize]);
            let is_inside = u64::from(width(kind)).checked_mul(count).is_some_and(|bytes| bytes <= offset);
            let at = if is_inside { start + i as u64 * size + value } else { self.integer(&entry[value as usize..]) };
            // Of a tag that occurs twice the first counts, as in libtiff.
            entries.entry(tag).or_insert(Entry { kind, count, at });
        }
        let next = self.number(start + length, offset)?;
        Ok(Directory { entries, next, bytes: head + length + offset })
    }

    /// The values of a tag of whole numbers; `None` without the tag.
    ///
    /// # Errors
    /// They are no whole numbers, negative, or not inside of the file.
    pub(super) fn numbers(&mut self, directory: &Directory, tag: u16) -> Decoded<Option<Vec<u64>>> {
        let Some(&entry) = directory.entries.get(&tag) else { return Ok(None) };
        if !matches!(entry.kind, 1 | 3 | 4 | 7 | 8 | 9 | 13 | 16..=18) {
            return Err(Refusal::damaged(format!("tag {tag} is no number")));
        }
        let width = width(entry.kind);
        let values = self.raw(entry)?;
        let values: Vec<u64> = values.chunks_exact(usize::from(width)).map(|value| self.integer(value)).collect();
        Ok(Some(values))
    }

    /// The first value of a tag of whole numbers.
    ///
    /// # Errors
    /// As [`Tif::numbers`].
    pub(super) fn first_number(&mut self, directory: &Directory, tag: u16) -> Decoded<Option<u64>> {
        Ok(self.numbers(directory, tag)?.and_then(|values| values.first().copied()))
    }

    /// The bytes of a tag, e.g. of a text.
    ///
    /// # Errors
    /// They are not inside of the file.
    pub(super) fn tag_bytes(&mut self, directory: &Directory, tag: u16) -> Decoded<Option<Vec<u8>>> {
        directory.entries.get(&tag).map(|&entry| self.raw(entry)).transpose()
    }

    fn raw(&mut self, entry: Entry) -> Decoded<Vec<u8>> {
        let length = u64::from(width(entry.kind)).checked_mul(entry.count).ok_or_else(outside)?;
        self.bytes(entry.at, length)
    }

    fn bytes(&mut self, at: u64, length: u64) -> Decoded<Vec<u8>> {
        if at.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(outside());
        }
        let mut bytes = vec![0; length as usize];
        self.source.seek(SeekFrom::Start(at)).map_err(Refusal::damaged)?;
        self.source.read_exact(&mut bytes).map_err(Refusal::damaged)?;
        Ok(bytes)
    }

    fn number(&mut self, at: u64, length: u64) -> Decoded<u64> {
        let bytes = self.bytes(at, length)?;
        Ok(self.integer(&bytes))
    }

    /// At most 8 bytes as a number.
    fn integer(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }
}

impl Directory {
    pub(super) fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// Number of values of a tag; 0 without it.
    pub(super) fn count(&self, tag: u16) -> u64 {
        self.entries.get(&tag).map_or(0, |entry| entry.count)
    }
}

/// Bytes of a value; 1 for kinds that are not known.
fn width(kind: u16) -> u8 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

fn outside() -> Refusal {
    Refusal::damaged("its directory leads outside of the file")
}
