//! Matrices turned over: with AVX-512 in blocks of 16 × 16 in registers, else element by element.

/// Elements that can be turned over.
pub(crate) trait Transpose: Copy {
    /// All whole blocks of a [`transpose`], or `false` where this processor has no instructions for it.
    fn blocks(_: &[Self], _between: usize, _sizes: [usize; 2], _to: &mut [Self], _to_between: usize) -> bool {
        false
    }
}

impl Transpose for f64 {}

impl Transpose for f32 {
    #[cfg(target_arch = "x86_64")]
    fn blocks(from: &[f32], between: usize, [rows, columns]: [usize; 2], to: &mut [f32], to_between: usize) -> bool {
        let Some(simd) = pulp::x86::V4::try_new() else { return false };
        simd.vectorize(
            #[inline(always)]
            || {
                for row in (0..rows / BLOCK).map(|row| row * BLOCK) {
                    for column in (0..columns / BLOCK).map(|column| column * BLOCK) {
                        let from = &from[row * between + column..];
                        block(simd, from, between, &mut to[column * to_between + row..], to_between);
                    }
                }
            },
        );
        true
    }
}

/// Rows and columns of a block.
const BLOCK: usize = 16;

/// Writes the transpose of `from`, `rows` of `columns` elements that begin `between` elements apart, to rows of `to`
/// that begin `to_between` apart.
pub(crate) fn transpose<T: Transpose>(
    from: &[T],
    between: usize,
    [rows, columns]: [usize; 2],
    to: &mut [T],
    to_between: usize,
) {
    let blocks = match T::blocks(from, between, [rows, columns], to, to_between) {
        true => [rows, columns].map(|length| length / BLOCK * BLOCK),
        false => [0, 0],
    };
    for row in 0..rows {
        let first = if row < blocks[0] { blocks[1] } else { 0 };
        for (column, value) in from[row * between..][..columns].iter().enumerate().skip(first) {
            to[column * to_between + row] = *value;
        }
    }
}

/// Pairs of neighbours first, then pairs of pairs, then quarters of the vectors, twice.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn block(simd: pulp::x86::V4, from: &[f32], between: usize, to: &mut [f32], to_between: usize) {
    use std::arch::x86_64::__m512;
    use std::array::from_fn;
    let avx = simd.avx512f;
    let single = |a| avx._mm512_castpd_ps(a);
    let double = |a| avx._mm512_castps_pd(a);
    let lines: [__m512; BLOCK] = from_fn(|i| match from[i * between..][..BLOCK].first_chunk::<BLOCK>() {
        Some(line) => pulp::cast(*line),
        None => avx._mm512_setzero_ps(),
    });
    let pairs: [__m512; BLOCK] = from_fn(|i| {
        let (a, b) = (lines[i & !1], lines[i | 1]);
        if i % 2 == 0 { avx._mm512_unpacklo_ps(a, b) } else { avx._mm512_unpackhi_ps(a, b) }
    });
    let fours: [__m512; BLOCK] = from_fn(|i| {
        let a = i / 4 * 4 + i % 4 / 2;
        let (a, b) = (double(pairs[a]), double(pairs[a + 2]));
        single(if i % 2 == 0 { avx._mm512_unpacklo_pd(a, b) } else { avx._mm512_unpackhi_pd(a, b) })
    });
    let eights: [__m512; BLOCK] = from_fn(|i| {
        let (a, b) = (fours[i / 8 * 8 + i % 4], fours[i / 8 * 8 + i % 4 + 4]);
        match i % 8 < 4 {
            true => avx._mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
            false => avx._mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
        }
    });
    for i in 0..BLOCK {
        let (a, b) = (eights[i % 8], eights[i % 8 + 8]);
        let turned = match i < 8 {
            true => avx._mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
            false => avx._mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
        };
        to[i * to_between..][..BLOCK].copy_from_slice(&pulp::cast::<__m512, [f32; BLOCK]>(turned));
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::Element;
    use super::*;
    use proptest::prelude::*;

    fn check<T: Element>([rows, columns]: [usize; 2], more: [usize; 2]) {
        let (between, to_between) = (columns + more[0], rows + more[1]);
        let from: Vec<T> = (0..rows * between).map(|at| T::narrow(at as f64)).collect();
        let mut to = vec![T::narrow(-1.0); columns * to_between];
        transpose(&from, between, [rows, columns], &mut to, to_between);
        for (at, value) in to.iter().enumerate() {
            let (column, row) = (at / to_between, at % to_between);
            let expected = if row < rows { from[row * between + column] } else { T::narrow(-1.0) };
            assert!(*value == expected, "row {row}, column {column}");
        }
    }

    proptest! {
        #[test]
        fn the_transpose_is_exact(sizes in [0usize..70, 0usize..70], more in [0usize..9, 0usize..9]) {
            check::<f32>(sizes, more);
            check::<f64>(sizes, more);
        }
    }
}
