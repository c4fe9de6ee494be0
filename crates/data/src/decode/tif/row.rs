//! From the bytes of a row to its values.

use super::page::{Format, Page};
use crate::decode::stored::{Real, Values};

/// Undoes the predictor of `page` in the rows of a strip or tile. After that, floating-point values of predictor 3 are big
/// endian: true is returned.
pub(super) fn unpredict(page: &Page, rows: &mut [u8], row_bytes: usize) -> bool {
    let together = page.samples_together();
    match page.predictor {
        2 => {
            for row in rows.chunks_exact_mut(row_bytes) {
                sum_values(row, usize::from(page.bits / 8), together, page.is_big_endian);
            }
            page.is_big_endian
        }
        3 => {
            let width = usize::from(page.bits / 8);
            for row in rows.chunks_exact_mut(row_bytes) {
                for at in together..row.len() {
                    row[at] = row[at].wrapping_add(row[at - together]);
                }
                // The highest bytes of all values come first.
                let count = row.len() / width;
                let value = |i: usize| (0..width).map(move |byte| byte * count + i);
                let ordered: Vec<u8> = (0..count).flat_map(value).map(|at| row[at]).collect();
                row[..ordered.len()].copy_from_slice(&ordered);
            }
            true
        }
        _ => page.is_big_endian,
    }
}

/// Adds to each value of `width` bytes the one of the pixel before it (`step` values back).
fn sum_values(row: &mut [u8], width: usize, step: usize, is_big_endian: bool) {
    if width == 1 {
        for at in step..row.len() {
            row[at] = row[at].wrapping_add(row[at - step]);
        }
        return;
    }
    for at in step..row.len() / width {
        let number = |row: &[u8], at: usize| {
            let bytes = &row[at * width..][..width];
            let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            if is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
        };
        let sum = number(row, at).wrapping_add(number(row, at - step)).to_le_bytes();
        let bytes = &mut row[at * width..][..width];
        bytes.copy_from_slice(&sum[..width]);
        if is_big_endian {
            bytes.reverse();
        }
    }
}

/// Room for `length` values of `page`.
pub(super) fn room(page: &Page, length: usize) -> Values {
    match (page.format, page.bits) {
        (Format::Floating, _) => Values::Real(vec![0.0; length], Real::Floating),
        (_, 0..=8) => Values::U8(vec![0; length]),
        (_, 9..=16) => Values::U16(vec![0; length]),
        _ => Values::Real(vec![0.0; length], Real::Whole),
    }
}

/// Writes the first `count` values of `row` to every `step`th place of `values` from `start`.
pub(super) fn place(
    page: &Page,
    row: &[u8],
    is_big_endian: bool,
    values: &mut Values,
    (start, step, count): (usize, usize, usize),
) {
    match values {
        Values::U8(values) if page.bits == 8 && step == 1 => {
            values[start..start + count].copy_from_slice(&row[..count])
        }
        Values::U8(values) if page.bits == 8 => put(values, (start, step), row[..count].iter().copied()),
        Values::U8(values) => put(values, (start, step), packed(row, page.bits, count).map(|value| value as u8)),
        Values::U16(values) if page.bits == 16 => {
            let number = if is_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            put(values, (start, step), row.as_chunks::<2>().0.iter().take(count).map(|&pair| number(pair)));
        }
        Values::U16(values) => put(values, (start, step), packed(row, page.bits, count)),
        Values::Real(values, _) => {
            let width = usize::from(page.bits / 8);
            let real = |bytes: &[u8]| real(bytes, page.format, is_big_endian);
            put(values, (start, step), row.chunks_exact(width).take(count).map(real));
        }
    }
}

fn put<T>(values: &mut [T], (start, step): (usize, usize), from: impl Iterator<Item = T>) {
    for (place, value) in values[start..].iter_mut().step_by(step).zip(from) {
        *place = value;
    }
}

/// Values of `bits` bits each, the first in the highest bits, whatever the byte order.
fn packed(row: &[u8], bits: u8, count: usize) -> impl Iterator<Item = u16> + '_ {
    let bits = usize::from(bits);
    (0..count).map(move |i| {
        let (first, last) = (i * bits / 8, ((i + 1) * bits - 1) / 8);
        let word = row[first..=last].iter().fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
        let behind = (last + 1) * 8 - (i + 1) * bits;
        (word >> behind & ((1 << bits) - 1)) as u16
    })
}

/// One value of 2, 4 or 8 bytes.
fn real(bytes: &[u8], format: Format, is_big_endian: bool) -> f64 {
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    let number = if is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
    match (format, bytes.len()) {
        (Format::Floating, 2) => half::f16::from_bits(number as u16).to_f64(),
        (Format::Floating, 4) => f64::from(f32::from_bits(number as u32)),
        (Format::Floating, _) => f64::from_bits(number),
        (Format::Signed, 4) => f64::from(number as i32),
        (Format::Signed, _) => number as i64 as f64,
        (Format::Unsigned, _) => number as f64,
    }
}

/// Whether one of the values of a signed format of 8 or 16 bits is negative. Without any they are read as unsigned ones.
pub(super) fn is_negative(values: &Values) -> bool {
    match values {
        Values::U8(values) => values.iter().any(|&value| value > 0x7F),
        Values::U16(values) => values.iter().any(|&value| value > 0x7FFF),
        Values::Real(..) => false,
    }
}

/// Values of a signed format, some of which are negative in the image.
pub(super) fn signed(values: Values) -> Values {
    match values {
        Values::U8(values) => Values::Real(values.iter().map(|&value| f64::from(value as i8)).collect(), Real::Whole),
        Values::U16(values) => Values::Real(values.iter().map(|&value| f64::from(value as i16)).collect(), Real::Whole),
        values @ Values::Real(..) => values,
    }
}
