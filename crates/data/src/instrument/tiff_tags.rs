//! The tags of a TIFF, read without a look at its pixels: decoders refuse files whose metadata are still of use.

/// `NewSubfileType`: thumbnails and transparency masks have one of these bits.
const REDUCED_OR_TRANSPARENCY: u64 = 1 | 4;
const NEW_SUBFILE_TYPE: u16 = 254;
/// Largest number of pages that are looked at.
const PAGES: usize = 1000;
/// Largest size of a tag's value that is read, in bytes.
const VALUE: usize = 1 << 20;

/// The tags of one page: number, type, count, and the bytes of the value.
pub(super) struct TiffTags<'b> {
    tags: Vec<(u16, u16, &'b [u8])>,
    is_little: bool,
}

impl<'b> TiffTags<'b> {
    /// The tags of the first page that is no thumbnail; of the first page if all are. `None` if it is no TIFF.
    pub(super) fn of(bytes: &'b [u8]) -> Option<Self> {
        let is_little = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let reader = Reader { bytes, is_little };
        let is_big = match reader.number(2, 2)? {
            42 => false,
            43 => true,
            _ => return None,
        };
        let mut at = if is_big { reader.number(8, 8)? } else { reader.number(4, 4)? };
        let mut first = None;
        for _ in 0..PAGES {
            let Some((tags, next)) = reader.directory(at, is_big) else { break };
            let page = TiffTags { tags, is_little };
            if page.number(NEW_SUBFILE_TYPE).unwrap_or(0) & REDUCED_OR_TRANSPARENCY == 0 {
                return Some(page);
            }
            first = first.or(Some(page));
            at = next;
        }
        first
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'b [u8]> {
        self.find(tag).map(|(_, bytes)| bytes)
    }

    /// The first number of a tag of whole numbers.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        let (kind, bytes) = self.find(tag)?;
        let size = size_of(kind).filter(|_| matches!(kind, 1 | 3 | 4 | 16))?;
        Reader { bytes, is_little: self.is_little }.number(0, size)
    }

    /// The first number of a tag of fractions, if it is positive.
    pub(super) fn fraction(&self, tag: u16) -> Option<f64> {
        let (kind, bytes) = self.find(tag)?;
        let reader = Reader { bytes, is_little: self.is_little };
        let value = match kind {
            5 => reader.number(0, 4)? as f64 / reader.number(4, 4)? as f64,
            11 => f64::from(f32::from_bits(reader.number(0, 4)? as u32)),
            12 => f64::from_bits(reader.number(0, 8)?),
            _ => self.number(tag)? as f64,
        };
        (value.is_finite() && value > 0.0).then_some(value)
    }

    fn find(&self, tag: u16) -> Option<(u16, &'b [u8])> {
        self.tags.iter().find(|(number, ..)| *number == tag).map(|(_, kind, bytes)| (*kind, *bytes))
    }
}

/// Bytes of a value of a type.
fn size_of(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16..=18 => Some(8),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Reader<'b> {
    bytes: &'b [u8],
    is_little: bool,
}

impl<'b> Reader<'b> {
    /// The unsigned number of `size` bytes (at most 8) at `at`.
    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    /// The tags of the directory at `at`, and where the next one is.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn directory(&self, at: u64, is_big: bool) -> Option<(Vec<(u16, u16, &'b [u8])>, u64)> {
        let at = usize::try_from(at).ok().filter(|&at| at > 0)?;
        let (of_count, of_entry, of_offset) = if is_big { (8, 20, 8) } else { (2, 12, 4) };
        let count = usize::try_from(self.number(at, of_count)?).ok()?;
        let start = at.checked_add(of_count)?;
        let end = start.checked_add(count.checked_mul(of_entry)?)?;
        // A directory that does not fit into the file is damaged.
        self.bytes.get(start..end)?;
        let mut tags = Vec::new();
        for entry in (start..end).step_by(of_entry) {
            let (tag, kind) = (self.number(entry, 2)? as u16, self.number(entry + 2, 2)? as u16);
            let length = self.number(entry + 4, of_offset)?;
            let value = entry + 4 + of_offset;
            let bytes = || {
                let length = usize::try_from(length).ok()?.checked_mul(size_of(kind)?).filter(|&l| l <= VALUE)?;
                let at =
                    if length <= of_offset { value } else { usize::try_from(self.number(value, of_offset)?).ok()? };
                self.bytes.get(at..at.checked_add(length)?)
            };
            // A tag that is damaged is passed over.
            tags.extend(bytes().map(|bytes| (tag, kind, bytes)));
        }
        Some((tags, self.number(end, of_offset).unwrap_or(0)))
    }
}
