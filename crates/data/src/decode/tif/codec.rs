//! Decompression of the bytes of one strip or tile.

use crate::decode::refusal::{Decoded, Refusal};
use fax::Color;
use fax::decoder::{DecodeStatus, Group4Decoder, pels};
use std::convert::Infallible;
use std::io::Read;
use weezl::{BitOrder, LzwStatus};

/// LZW: the first `length` bytes.
///
/// # Errors
/// Damaged, or the variant of before TIFF 5.0.
pub(super) fn lzw(data: &[u8], length: usize) -> Decoded<Vec<u8>> {
    if matches!(data, [0, second, ..] if second & 1 == 1) {
        return Err(Refusal::not_read("a tif compressed by old-style LZW (before TIFF 5.0)"));
    }
    let builder = weezl::decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut decoder = builder.with_yield_on_full_buffer(true).build();
    let mut out = vec![0; length];
    let (mut read, mut written) = (0, 0);
    while written < length {
        let result = decoder.decode_bytes(&data[read..], &mut out[written..]);
        read += result.consumed_in;
        written += result.consumed_out;
        match result.status {
            Ok(LzwStatus::Ok) if result.consumed_in + result.consumed_out > 0 => (),
            Ok(_) => break,
            Err(error) => return Err(Refusal::damaged(error)),
        }
    }
    if written < length { Err(short()) } else { Ok(out) }
}

/// Deflate in a zlib stream: the first `length` bytes.
///
/// # Errors
/// Damaged or cut short.
pub(super) fn deflate(data: &[u8], length: usize) -> Decoded<Vec<u8>> {
    let mut out = vec![0; length];
    flate2::read::ZlibDecoder::new(data).read_exact(&mut out).map_err(Refusal::damaged)?;
    Ok(out)
}

/// PackBits (TIFF 6.0, section 9): the first `length` bytes.
///
/// # Errors
/// Cut short.
pub(super) fn pack_bits(mut data: &[u8], length: usize) -> Decoded<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    while out.len() < length {
        let (&head, rest) = data.split_first().ok_or_else(short)?;
        data = rest;
        match head {
            0..=127 => {
                let (values, rest) = data.split_at_checked(usize::from(head) + 1).ok_or_else(short)?;
                out.extend_from_slice(values);
                data = rest;
            }
            128 => (),
            _ => {
                let (&value, rest) = data.split_first().ok_or_else(short)?;
                out.extend(std::iter::repeat_n(value, 257 - usize::from(head)));
                data = rest;
            }
        }
    }
    out.truncate(length);
    Ok(out)
}

/// CCITT Group 4: rows of 1 bit, black is 1.
///
/// # Errors
/// Damaged, cut short or too wide.
pub(super) fn group_4(data: &[u8], width: usize, rows: usize) -> Decoded<Vec<u8>> {
    let narrow =
        u16::try_from(width).map_err(|_| Refusal::not_read(format!("CCITT Group 4 of {width} pixels across")))?;
    let bytes = data.iter().map(|&byte| Ok::<u8, Infallible>(byte));
    let mut decoder = Group4Decoder::new(bytes, narrow).map_err(|_| short())?;
    let mut out = Vec::with_capacity(width.div_ceil(8) * rows);
    for _ in 0..rows {
        match decoder.advance() {
            Ok(DecodeStatus::Incomplete) => (),
            Ok(DecodeStatus::End) => return Err(short()),
            Err(_) => return Err(Refusal::damaged("CCITT Group 4")),
        }
        let mut row = vec![0; width.div_ceil(8)];
        for (x, colour) in pels(decoder.transition(), narrow).take(width).enumerate() {
            row[x / 8] |= u8::from(colour == Color::Black) << (7 - x % 8);
        }
        out.extend(row);
    }
    Ok(out)
}

/// Largest number of bytes that a byte can stand for.
pub(super) fn largest_ratio(compression: u16) -> usize {
    match compression {
        1 => 1,
        5 => 2800,
        8 | 32_946 => 1040,
        32_773 => 64,
        _ => usize::MAX,
    }
}

/// The refusal of a stream that ends before its pixels.
pub(super) fn short() -> Refusal {
    Refusal::damaged("pixels are missing")
}
