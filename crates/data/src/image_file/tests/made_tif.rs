//! Tifs of every layout that is read, with values that a seed draws.

use proptest::prelude::*;
use std::io::Write;

/// How values are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Unsigned(u8),
    Signed(u8),
    Floating(u8),
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Content {
    /// All bits at random.
    Noise,
    /// All channels of a pixel alike, but for the last two values of the image in one of two.
    Grey,
    /// Values below an eighth of the largest.
    Dark,
}

/// A tif.
#[derive(Clone, Debug)]
pub(super) struct MadeTif {
    pub(super) size: (usize, usize),
    pub(super) samples: usize,
    pub(super) kind: Kind,
    pub(super) content: Content,
    pub(super) seed: u64,
    pub(super) photometric: u16,
    /// Whether the last channel is alpha, and whether it is opaque everywhere.
    pub(super) alpha: Option<bool>,
    pub(super) compression: u16,
    pub(super) has_predictor: bool,
    pub(super) is_planar: bool,
    pub(super) is_reversed: bool,
    pub(super) is_big_endian: bool,
    pub(super) is_big_tiff: bool,
    pub(super) orientation: u16,
    /// Width and height of tiles, or rows of strips.
    pub(super) pieces: Result<(usize, usize), usize>,
}

/// Any of them.
pub(super) fn any_tif() -> impl Strategy<Value = MadeTif> {
    let kind = prop_oneof![
        4 => prop_oneof![Just(8u8), Just(16), Just(1), Just(2), Just(4), Just(12), Just(10), Just(32)].prop_map(Kind::Unsigned),
        1 => prop_oneof![Just(8u8), Just(16), Just(32)].prop_map(Kind::Signed),
        1 => prop_oneof![Just(16u8), Just(32), Just(64)].prop_map(Kind::Floating),
    ];
    let colours = prop_oneof![
        3 => Just((1u16, 1usize, None)),
        1 => Just((0, 1, None)),
        1 => Just((3, 1, None)),
        3 => Just((2, 3, None)),
        1 => any::<bool>().prop_map(|opaque| (1, 2, Some(opaque))),
        1 => any::<bool>().prop_map(|opaque| (2, 4, Some(opaque))),
        1 => Just((1, 5, None)),
    ];
    let content = prop_oneof![Just(Content::Noise), Just(Content::Grey), Just(Content::Dark)];
    let compression = prop_oneof![Just(1u16), Just(5), Just(8), Just(32_773)];
    let pieces = prop_oneof![
        (1usize..4, 1usize..4).prop_map(|(across, down)| Ok((across * 16, down * 16))),
        (1usize..50).prop_map(Err),
    ];
    let flags = proptest::array::uniform5(any::<bool>());
    let orientation = prop_oneof![5 => Just(1u16), 4 => 2u16..5, 1 => 5u16..9];
    ((1usize..70, 1usize..50), kind, colours, content, any::<u64>(), compression, pieces, flags, orientation).prop_map(
        |(size, kind, (photometric, samples, alpha), content, seed, compression, pieces, flags, orientation)| {
            let [has_predictor, is_planar, is_reversed, is_big_endian, is_big_tiff] = flags;
            let kind = match (photometric, kind) {
                (3, Kind::Unsigned(bits)) if bits <= 8 => kind,
                (3, _) => Kind::Unsigned(8),
                _ => kind,
            };
            let bits = kind.bits();
            MadeTif {
                size,
                samples,
                kind,
                content,
                seed,
                photometric,
                alpha,
                compression,
                has_predictor: has_predictor && matches!(bits, 8 | 16 | 32) && matches!(compression, 5 | 8),
                is_planar: is_planar && samples > 1,
                is_reversed,
                is_big_endian,
                is_big_tiff,
                orientation,
                pieces,
            }
        },
    )
}

impl Kind {
    pub(super) fn bits(self) -> u8 {
        match self {
            Kind::Unsigned(bits) | Kind::Signed(bits) | Kind::Floating(bits) => bits,
        }
    }
}

impl MadeTif {
    /// The bits of channel `channel` at (x, y).
    fn value(&self, (x, y): (usize, usize), channel: usize) -> u64 {
        let bits = u32::from(self.kind.bits());
        let all = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        if let Some(is_opaque) = self.alpha.filter(|_| channel == self.samples - 1) {
            let is_hole = !is_opaque && (x, y) == (self.size.0 - 1, self.size.1 - 1);
            return match self.kind {
                Kind::Floating(16) => 0x3C00,
                Kind::Floating(32) => u64::from(1f32.to_bits()),
                Kind::Floating(_) => 1f64.to_bits(),
                _ if is_hole => all / 2,
                _ => all,
            };
        }
        let (width, height) = self.size;
        let is_odd = self.seed & 1 == 1 && (x + 1, y + 1) == (width, height);
        let mixed = if self.content == Content::Grey && !is_odd { 0 } else { channel as u64 };
        let hash = |n: u64| {
            let n = (n ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let n = (n ^ n >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            n ^ n >> 32
        };
        let noise = hash((y * width + x) as u64 * 8 + mixed);
        match (self.kind, self.content) {
            // Numbers, not NaN: from 0 to 1.
            (Kind::Floating(16), _) => noise % 0x3C01,
            (Kind::Floating(32), _) => u64::from(((noise >> 40) as f32 / (1u64 << 24) as f32).to_bits()),
            (Kind::Floating(_), _) => ((noise >> 11) as f64 / (1u64 << 53) as f64).to_bits(),
            (_, Content::Dark) => noise & (all >> 3),
            // Of signed ones, one in some images is negative.
            (Kind::Signed(_), _) if !is_odd => noise & (all >> 1),
            _ => noise & all,
        }
    }

    /// The rows of one piece, `columns` × `rows` pixels from (left, top), of the channels `channels`.
    fn piece(
        &self,
        (left, top): (usize, usize),
        (columns, rows): (usize, usize),
        channels: std::ops::Range<usize>,
    ) -> Vec<u8> {
        let bits = usize::from(self.kind.bits());
        let mut bytes = Vec::new();
        for y in top..top + rows {
            let at = |x: usize| (x.min(self.size.0 - 1), y.min(self.size.1 - 1));
            let mut values: Vec<u64> = (left..left + columns)
                .flat_map(|x| channels.clone().map(move |c| (x, c)))
                .map(|(x, c)| self.value(at(x), c))
                .collect();
            if self.has_predictor {
                let mask = (1u64 << bits) - 1;
                for i in (channels.len()..values.len()).rev() {
                    values[i] = values[i].wrapping_sub(values[i - channels.len()]) & mask;
                }
            }
            if bits.is_multiple_of(8) {
                for value in values {
                    let little = value.to_le_bytes()[..bits / 8].to_vec();
                    bytes.extend(if self.is_big_endian { little.into_iter().rev().collect() } else { little });
                }
                continue;
            }
            let mut row = vec![0u8; (values.len() * bits).div_ceil(8)];
            for (i, value) in values.into_iter().enumerate() {
                for bit in 0..bits {
                    let place = i * bits + bit;
                    row[place / 8] |= ((value >> (bits - 1 - bit) & 1) as u8) << (7 - place % 8);
                }
            }
            bytes.extend(row);
        }
        let bytes = self.compressed(bytes);
        if self.is_reversed { bytes.into_iter().map(u8::reverse_bits).collect() } else { bytes }
    }

    fn compressed(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.compression {
            5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&bytes).unwrap(),
            8 => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            32_773 => bytes.chunks(128).flat_map(|part| [&[part.len() as u8 - 1], part].concat()).collect(),
            _ => bytes,
        }
    }

    /// The file: header, pieces, directory.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (width, height) = self.size;
        let (across, down) = match self.pieces {
            Ok((across, down)) => (width.div_ceil(across), height.div_ceil(down)),
            Err(rows) => (1, height.div_ceil(rows)),
        };
        let number = |value: u64, size: usize| -> Vec<u8> {
            let bytes = value.to_le_bytes()[..size].to_vec();
            if self.is_big_endian { bytes.into_iter().rev().collect() } else { bytes }
        };
        let mut file = if self.is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        let offset = if self.is_big_tiff { 8 } else { 4 };
        file.extend(number(if self.is_big_tiff { 43 } else { 42 }, 2));
        if self.is_big_tiff {
            file.extend([number(8, 2), number(0, 2)].concat());
        }
        let at_first = file.len();
        file.extend(number(0, offset));
        let (mut offsets, mut counts) = (Vec::new(), Vec::new());
        let planes = if self.is_planar { self.samples } else { 1 };
        for plane in 0..planes {
            let channels = if self.is_planar { plane..plane + 1 } else { 0..self.samples };
            for piece in 0..across * down {
                let piece = match self.pieces {
                    Ok((columns, rows)) => {
                        self.piece((piece % across * columns, piece / across * rows), (columns, rows), channels.clone())
                    }
                    Err(rows) => {
                        self.piece((0, piece * rows), (width, rows.min(height - piece * rows)), channels.clone())
                    }
                };
                offsets.push(file.len() as u64);
                counts.push(piece.len() as u64);
                file.extend(piece);
            }
        }
        let bits = u64::from(self.kind.bits());
        let format = match self.kind {
            Kind::Unsigned(_) => 1,
            Kind::Signed(_) => 2,
            Kind::Floating(_) => 3,
        };
        let mut tags: Vec<(u16, u16, Vec<u64>)> = vec![
            (256, 4, vec![width as u64]),
            (257, 4, vec![height as u64]),
            (258, 3, vec![bits; self.samples]),
            (259, 3, vec![self.compression.into()]),
            (262, 3, vec![self.photometric.into()]),
            (266, 3, vec![1 + u64::from(self.is_reversed)]),
            (274, 3, vec![self.orientation.into()]),
            (277, 3, vec![self.samples as u64]),
            (284, 3, vec![1 + u64::from(self.is_planar)]),
            (317, 3, vec![1 + u64::from(self.has_predictor)]),
            (339, 3, vec![format; self.samples]),
        ];
        match self.pieces {
            Ok((columns, rows)) => tags.extend([
                (322, 3, vec![columns as u64]),
                (323, 3, vec![rows as u64]),
                (324, 4, offsets),
                (325, 4, counts),
            ]),
            Err(rows) => tags.extend([(273, 4, offsets), (278, 3, vec![rows as u64]), (279, 4, counts)]),
        }
        if self.alpha.is_some() {
            tags.push((338, 3, vec![2]));
        }
        if self.photometric == 3 {
            let colours = 1usize << bits.min(16);
            // Most colours are grey; in images of an odd seed the last is not.
            let colour = |channel: usize, i: usize| {
                let is_odd = self.seed & 2 == 2 && i + 1 == colours && channel == 1;
                if is_odd { 77 * 257 } else { (i * 65_535 / (colours - 1).max(1)) as u64 }
            };
            let map = (0..3).flat_map(|channel| (0..colours).map(move |i| colour(channel, i))).collect();
            tags.push((320, 3, map));
        }
        tags.sort_by_key(|(tag, ..)| *tag);
        let mut entries = Vec::new();
        for (tag, kind, values) in tags {
            let size = if kind == 3 { 2 } else { 4 };
            let bytes: Vec<u8> = values.iter().flat_map(|&value| number(value, size)).collect();
            entries
                .extend([number(tag.into(), 2), number(kind.into(), 2), number(values.len() as u64, offset)].concat());
            if bytes.len() <= offset {
                entries.extend(&bytes);
                entries.resize(entries.len() + offset - bytes.len(), 0);
            } else {
                entries.extend(number(file.len() as u64, offset));
                file.extend(bytes);
            }
        }
        let directory = number(file.len() as u64, offset);
        file[at_first..at_first + offset].copy_from_slice(&directory);
        let entry = if self.is_big_tiff { 20 } else { 12 };
        file.extend(number((entries.len() / entry) as u64, if self.is_big_tiff { 8 } else { 2 }));
        file.extend(entries);
        file.extend(number(0, offset));
        file
    }
}
