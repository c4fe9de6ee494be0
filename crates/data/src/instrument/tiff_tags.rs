//! The tags of a TIFF, read without a look at its pixels: decoders refuse files whose metadata are still of use.

/// `NewSubfileType`: thumbnails and transparency masks have one of these bits.
const REDUCED_OR_TRANSPARENCY: u64 = 1 | 4;
const NEW_SUBFILE_TYPE: u16 = 254;
/// Largest number of pages that are looked at.
const PAGES: usize = 1000;
/// Largest size of a tag's value that is read, in bytes.
const VALUE: usize = 1 << 20;

/// The tags of one page: number, type, and the bytes of the value.
pub(super) struct TiffTags {
    tags: Vec<(u16, u16, Vec<u8>)>,
    is_little: bool,
}

/// Reads so many bytes at a place of a file; `None` if they are not inside.
pub(crate) type ReadAt<'f> = dyn Fn(u64, usize) -> Option<Vec<u8>> + 'f;

impl TiffTags {
    /// The tags of the first page that is no thumbnail; of the first page if all are. `None` if it is no TIFF.
    pub(super) fn of(read: &ReadAt<'_>) -> Option<Self> {
        let is_little = match read(0, 2)?.as_slice() {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let reader = Reader { read, is_little };
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
    pub(super) fn bytes(&self, tag: u16) -> Option<&[u8]> {
        self.find(tag).map(|(_, bytes)| bytes)
    }

    /// The first number of a tag of whole numbers.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        let (kind, bytes) = self.find(tag)?;
        let size = size_of(kind).filter(|_| matches!(kind, 1 | 3 | 4 | 16))?;
        integer(bytes.get(..size)?, self.is_little)
    }

    /// The first number of a tag of fractions, if it is positive.
    pub(super) fn fraction(&self, tag: u16) -> Option<f64> {
        let (kind, bytes) = self.find(tag)?;
        let number = |at: usize, size: usize| integer(bytes.get(at..at + size)?, self.is_little);
        let value = match kind {
            5 => number(0, 4)? as f64 / number(4, 4)? as f64,
            11 => f64::from(f32::from_bits(number(0, 4)? as u32)),
            12 => f64::from_bits(number(0, 8)?),
            _ => self.number(tag)? as f64,
        };
        (value.is_finite() && value > 0.0).then_some(value)
    }

    fn find(&self, tag: u16) -> Option<(u16, &[u8])> {
        self.tags.iter().find(|(number, ..)| *number == tag).map(|(_, kind, bytes)| (*kind, bytes.as_slice()))
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

/// An unsigned number of at most 8 bytes.
fn integer(bytes: &[u8], is_little: bool) -> Option<u64> {
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    let fits = bytes.len() <= 8;
    fits.then(|| if is_little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
}

struct Reader<'f> {
    read: &'f ReadAt<'f>,
    is_little: bool,
}

impl Reader<'_> {
    /// The unsigned number of `size` bytes (at most 8) at `at`.
    fn number(&self, at: u64, size: usize) -> Option<u64> {
        integer(&(self.read)(at, size)?, self.is_little)
    }

    /// The tags of the directory at `at`, and where the next one is.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn directory(&self, at: u64, is_big: bool) -> Option<(Vec<(u16, u16, Vec<u8>)>, u64)> {
        let at = Some(at).filter(|&at| at > 0)?;
        let (of_count, of_entry, of_offset) = if is_big { (8, 20, 8) } else { (2, 12, 4) };
        let count = usize::try_from(self.number(at, of_count)?).ok()?;
        let start = at.checked_add(of_count as u64)?;
        // A directory that does not fit into the file is damaged.
        let table = (self.read)(start, count.checked_mul(of_entry)?)?;
        let mut tags = Vec::new();
        for entry in table.chunks_exact(of_entry) {
            let number = |at: usize, size: usize| integer(&entry[at..at + size], self.is_little);
            let (tag, kind) = (number(0, 2)? as u16, number(2, 2)? as u16);
            let value = 4 + of_offset;
            let bytes = || {
                let length = usize::try_from(number(4, of_offset)?).ok()?;
                let length = length.checked_mul(size_of(kind)?).filter(|&length| length <= VALUE)?;
                if length <= of_offset {
                    return Some(entry[value..value + length].to_vec());
                }
                (self.read)(number(value, of_offset)?, length)
            };
            // A tag that is damaged is passed over.
            tags.extend(bytes().map(|bytes| (tag, kind, bytes)));
        }
        let end = start + table.len() as u64;
        Some((tags, self.number(end, of_offset).unwrap_or(0)))
    }
}
