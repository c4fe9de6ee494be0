//! Small TIFF files with any tags, for tests.

/// A grey TIFF of 8 bits with one strip, and further tags.
pub(crate) struct TestTiff {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    tags: Vec<(u16, Value)>,
    is_little: bool,
    is_big: bool,
}

/// The value of a tag.
pub(crate) enum Value {
    Text(Vec<u8>),
    /// Of the type BYTE.
    Bytes(Vec<u8>),
    Short(u16),
    Long(u32),
    Fraction(u32, u32),
}

impl TestTiff {
    /// `width` × `height` pixels, each with the value that `pixel` gives for its column and row.
    pub(crate) fn new(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u8) -> Self {
        let pixels = (0..width * height).map(|i| pixel(i % width, i / width)).collect();
        TestTiff { width, height, pixels, tags: Vec::new(), is_little: true, is_big: false }
    }

    /// With a further tag.
    pub(crate) fn with(mut self, tag: u16, value: Value) -> Self {
        self.tags.push((tag, value));
        self
    }

    /// Without a further tag.
    pub(crate) fn flat(width: u32, height: u32) -> Self {
        TestTiff::new(width, height, |x, y| (x + y) as u8)
    }

    pub(crate) fn big_endian(mut self) -> Self {
        self.is_little = false;
        self
    }

    pub(crate) fn big_tiff(mut self) -> Self {
        self.is_big = true;
        self
    }

    /// The file: header, pixels, long values, directory.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let header = if self.is_big { 16 } else { 8 };
        let of_strip = self.pixels.len() as u32;
        for (tag, value) in [
            (256, Value::Long(self.width)),
            (257, Value::Long(self.height)),
            (258, Value::Short(8)),
            (259, Value::Short(1)),
            (262, Value::Short(1)),
            (273, Value::Long(header)),
            (277, Value::Short(1)),
            (278, Value::Long(self.height)),
            (279, Value::Long(of_strip)),
        ] {
            self.tags.push((tag, value));
        }
        self.tags.sort_by_key(|(tag, _)| *tag);
        let (is_little, is_big) = (self.is_little, self.is_big);
        let number = |value: u64, size: usize| -> Vec<u8> {
            let bytes = value.to_le_bytes()[..size].to_vec();
            if is_little { bytes } else { bytes.into_iter().rev().collect() }
        };
        let offset = if is_big { 8 } else { 4 };
        let mut body = self.pixels;
        let mut entries = Vec::new();
        for (tag, value) in &self.tags {
            let (kind, count, bytes) = match value {
                Value::Text(text) => (2, text.len() + 1, [text.as_slice(), &[0]].concat()),
                Value::Bytes(bytes) => (1, bytes.len(), bytes.clone()),
                Value::Short(value) => (3, 1, number(u64::from(*value), 2)),
                Value::Long(value) => (4, 1, number(u64::from(*value), 4)),
                Value::Fraction(a, b) => (5, 1, [number(u64::from(*a), 4), number(u64::from(*b), 4)].concat()),
            };
            let mut entry = [number(u64::from(*tag), 2), number(kind, 2), number(count as u64, offset)].concat();
            if bytes.len() <= offset {
                entry.extend(&bytes);
                entry.resize(4 + 2 * offset, 0);
            } else {
                body.resize(body.len().next_multiple_of(2), 0);
                entry.extend(number(u64::from(header) + body.len() as u64, offset));
                body.extend(bytes);
            }
            entries.push(entry);
        }
        body.resize(body.len().next_multiple_of(2), 0);
        let directory = u64::from(header) + body.len() as u64;
        let mut file: Vec<u8> = if is_little { b"II".to_vec() } else { b"MM".to_vec() };
        file.extend(number(if is_big { 43 } else { 42 }, 2));
        if is_big {
            file.extend([number(8, 2), number(0, 2)].concat());
        }
        file.extend(number(directory, offset));
        file.extend(body);
        file.extend(number(entries.len() as u64, if is_big { 8 } else { 2 }));
        file.extend(entries.concat());
        file.extend(number(0, offset));
        file
    }
}
