//! The bytes of an image file: in memory, or read from the disk where they are needed.

use super::refusal::{Decoded, Refusal};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// An image file. A file on the disk is read and not mapped: a map would count as the process's memory, and would end the process
/// if the file were cut while it is read.
#[derive(Debug)]
pub(crate) enum Source<'b> {
    /// In memory.
    Bytes(Cow<'b, [u8]>),
    /// On the disk, with its length.
    File(File, u64),
}

impl<'b> From<&'b [u8]> for Source<'b> {
    fn from(bytes: &'b [u8]) -> Self {
        Source::Bytes(Cow::Borrowed(bytes))
    }
}

impl Source<'_> {
    /// Length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(_, length) => *length,
        }
    }

    /// The `length` bytes from `start` on; `None` if they are not all inside.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn read(&self, start: u64, length: usize) -> io::Result<Option<Cow<'_, [u8]>>> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length()) {
            return Ok(None);
        }
        Ok(Some(match self {
            Source::Bytes(bytes) => Cow::Borrowed(&bytes[start as usize..][..length]),
            Source::File(file, _) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Cow::Owned(bytes)
            }
        }))
    }

    /// As [`Source::read`], while decoding.
    ///
    /// # Errors
    /// The disk's, as a refusal.
    pub(super) fn bytes(&self, start: u64, length: usize) -> Decoded<Option<Cow<'_, [u8]>>> {
        self.read(start, length)
            .map_err(|error| Refusal::new(format!("cannot be read ({error})"), "check its permissions and its disk"))
    }

    /// At most the first `most` bytes.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn head(&self, most: u64) -> Decoded<Cow<'_, [u8]>> {
        Ok(self.bytes(0, self.length().min(most) as usize)?.unwrap_or_default())
    }

    /// A reader of all bytes.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { source: self, at: 0 }
    }
}

/// Reads a [`Source`] from any place.
pub(super) struct Reader<'s> {
    source: &'s Source<'s>,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = (self.source.length().saturating_sub(self.at)).min(to.len() as u64) as usize;
        if let Some(bytes) = self.source.read(self.at, length)? {
            to[..length].copy_from_slice(&bytes);
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
