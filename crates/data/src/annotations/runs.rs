//! Run-length encoded pixels: lengths of runs, alternately outside and inside of the object, beginning outside.

/// A rectangle of pixels as runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    /// Column of the first pixel.
    pub(super) left: i64,
    /// Row of the first pixel.
    pub(super) top: i64,
    /// Width and height; their product is the sum of `lengths`.
    pub(super) size: (usize, usize),
    /// Whether pixels follow each other down a column (COCO), or along a row (CVAT).
    pub(super) by_column: bool,
    /// Lengths of the runs.
    pub(super) lengths: Vec<u32>,
}

impl Runs {
    /// Whether the runs fill the rectangle exactly.
    pub(super) fn fit(&self) -> bool {
        let sum: u64 = self.lengths.iter().map(|&length| u64::from(length)).sum();
        (self.size.0 as u64).checked_mul(self.size.1 as u64) == Some(sum)
    }

    /// (first, last + 1) of each run inside the object, counted from the first pixel.
    pub(super) fn inside(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut at = 0;
        self.lengths.iter().enumerate().filter_map(move |(i, &length)| {
            let from = at;
            at += length as usize;
            (i % 2 == 1 && length > 0).then_some((from, at))
        })
    }
}

/// The lengths in COCO's compressed text, as `rleFrString` of pycocotools reads them: groups of five bits, the lowest first, in
/// characters from `0`, whose sixth bit says that the number goes on; from the fourth number on, the difference to the last but
/// one. `None` if the text is none such.
pub(super) fn lengths_from_text(text: &str) -> Option<Vec<u32>> {
    let mut lengths: Vec<u32> = Vec::new();
    let mut bytes = text.bytes();
    while let Some(first) = bytes.next() {
        let (mut value, mut shift, mut byte) = (0i64, 0, first);
        loop {
            let bits = byte.checked_sub(48).filter(|bits| *bits < 64)?;
            value |= i64::from(bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    value |= -1i64 << shift;
                }
                break;
            }
            if shift > 35 {
                return None;
            }
            byte = bytes.next()?;
        }
        if lengths.len() > 2 {
            value += i64::from(lengths[lengths.len() - 2]);
        }
        lengths.push(u32::try_from(value).ok()?);
    }
    Some(lengths)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `rleToString` of pycocotools writes them.
    pub(crate) fn text_of(lengths: &[u32]) -> String {
        let mut text = String::new();
        for (i, &length) in lengths.iter().enumerate() {
            let mut value = i64::from(length) - if i > 2 { i64::from(lengths[i - 2]) } else { 0 };
            loop {
                let bits = (value & 0x1f) as u8;
                value >>= 5;
                let more = if bits & 0x10 != 0 { value != -1 } else { value != 0 };
                text.push(char::from(48 + bits + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }

    proptest! {
        #[test]
        fn lengths_survive_the_compressed_text(lengths in prop::collection::vec(0u32..400_000_000, 0..40)) {
            prop_assert_eq!(lengths_from_text(&text_of(&lengths)), Some(lengths));
        }

        #[test]
        fn any_text_gives_lengths_or_none(text in "[ -~]{0,40}") {
            let _ = lengths_from_text(&text);
        }
    }

    /// Texts that pycocotools 2.0.11 wrote.
    #[test]
    fn texts_of_pycocotools_are_read() {
        for (text, lengths) in PYCOCOTOOLS {
            assert_eq!(lengths_from_text(text).as_deref(), Some(*lengths), "{text}");
            assert_eq!(text_of(lengths), *text);
        }
        for wrong in ["é", "P", "0o", "oooooooooooo0", "O"] {
            assert_eq!(lengths_from_text(wrong), None, "{wrong}");
        }
    }

    const PYCOCOTOOLS: &[(&str, &[u32])] = &[
        ("S1", &[35]),
        ("0S1", &[0, 35]),
        ("341M000040L14OM", &[3, 4, 1, 1, 1, 1, 1, 1, 5, 1, 1, 2, 5, 1, 2]),
        ("hl0^8n000RJUO[3k0c20000PR9", &[920, 270, 30, 270, 30, 80, 3, 187, 30, 270, 30, 270, 30, 270, 9310]),
    ];
}
