//! The arithmetic of F(2×2, 3×3) on lanes of channels (Lavin & Gray, *Fast Algorithms for Convolutional Neural
//! Networks*, 2015): Y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A with
//!
//! ```text
//!      ⎡1  0 -1  0⎤       ⎡ 1   0   0⎤
//! Bᵀ = ⎢0  1  1  0⎥   G = ⎢ ½   ½   ½⎥   Aᵀ = ⎡1  1  1  0⎤
//!      ⎢0 -1  1  0⎥       ⎢ ½  -½   ½⎥        ⎣0  1 -1 -1⎦
//!      ⎣0  1  0 -1⎦       ⎣ 0   0   1⎦
//! ```
//!
//! Only additions and halvings, so float32 keeps its digits; larger tiles would save more products and lose accuracy
//! (F(4×4) has about eight times the error).

use crate::nn::ops::host::Element;
use std::array::from_fn;

/// Channels worked on together: one AVX-512 vector of float32.
pub(super) const LANES: usize = 16;

/// One number for each of [`LANES`] channels.
pub(super) type Lanes<T> = [T; LANES];

/// Where to begin so that whole [`LANES`] cover `channels`, which are at least as many: the last may overlap.
#[inline(always)]
pub(super) fn firsts(channels: usize) -> impl Iterator<Item = usize> {
    (0..channels.div_ceil(LANES)).map(move |index| (index * LANES).min(channels - LANES))
}

/// 0 for each channel.
#[inline(always)]
pub(super) fn zero<T: Element>() -> Lanes<T> {
    [T::zero(); LANES]
}

/// The channels from `first` on.
#[inline(always)]
pub(super) fn load<T: Element>(from: &[T], first: usize) -> Lanes<T> {
    let mut lanes = zero();
    lanes.copy_from_slice(&from[first..first + LANES]);
    lanes
}

/// Writes the channels from `first` on.
#[inline(always)]
pub(super) fn store<T: Element>(to: &mut [T], first: usize, lanes: &Lanes<T>) {
    to[first..first + LANES].copy_from_slice(lanes);
}

#[inline(always)]
fn add<T: Element>(a: Lanes<T>, b: Lanes<T>) -> Lanes<T> {
    from_fn(|lane| a[lane] + b[lane])
}

#[inline(always)]
fn sub<T: Element>(a: Lanes<T>, b: Lanes<T>) -> Lanes<T> {
    from_fn(|lane| a[lane] - b[lane])
}

#[inline(always)]
fn half<T: Element>(a: Lanes<T>) -> Lanes<T> {
    let half = T::narrow(0.5);
    from_fn(|lane| a[lane] * half)
}

/// Applies `line` to every column, then to every row of what that gives: L d Lᵀ.
#[inline(always)]
fn both_ways<T: Element, const N: usize, const M: usize>(
    at: impl Fn(usize, usize) -> Lanes<T>,
    line: impl Fn([Lanes<T>; N]) -> [Lanes<T>; M],
) -> [[Lanes<T>; M]; M] {
    let columns: [[Lanes<T>; M]; N] = from_fn(|column| line(from_fn(|row| at(row, column))));
    from_fn(|row| line(from_fn(|column| columns[column][row])))
}

/// Bᵀ d B of a 4×4 patch of the input.
#[inline(always)]
pub(super) fn input<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 4]; 4] {
    both_ways(at, |[a, b, c, d]: [Lanes<T>; 4]| [sub(a, c), add(b, c), sub(c, b), sub(b, d)])
}

/// Bᵀ d B where the patch is a 3×3 one of an image of half the size, its middle row and column doubled: line 2 of the
/// result would be 0 both ways and is left out.
#[inline(always)]
pub(super) fn doubled_input<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 3]; 3] {
    both_ways(at, |[a, b, c]: [Lanes<T>; 3]| [sub(a, b), add(b, b), sub(b, c)])
}

/// Aᵀ m A: 2×2 pixels of the output.
#[inline(always)]
pub(super) fn output<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 2]; 2] {
    both_ways(at, |[a, b, c, d]: [Lanes<T>; 4]| [add(a, add(b, c)), sub(sub(b, c), d)])
}

/// The sum of the four pixels of Aᵀ m A, to which line 2 of m does not contribute: `at` counts the lines 0, 1, 3.
#[inline(always)]
pub(super) fn output_sum<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> Lanes<T> {
    let [[sum]] = both_ways(at, |[a, b, d]: [Lanes<T>; 3]| [sub(add(a, add(b, b)), d)]);
    sum
}

/// A g Aᵀ: what the gradient of 2×2 output pixels is to m.
#[inline(always)]
pub(super) fn gradient<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 4]; 4] {
    both_ways(at, |[a, b]: [Lanes<T>; 2]| [a, add(a, b), sub(a, b), sub(zero(), b)])
}

/// G w Gᵀ of a 3×3 kernel.
#[inline(always)]
pub(super) fn weight<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 4]; 4] {
    both_ways(at, |[a, b, c]: [Lanes<T>; 3]| {
        let outer = add(a, c);
        [a, half(add(outer, b)), half(sub(outer, b)), c]
    })
}

/// Gᵀ u G: what the gradient of the transformed kernel is to the kernel.
#[inline(always)]
pub(super) fn weight_gradient<T: Element>(at: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 3]; 3] {
    both_ways(at, |[a, b, c, d]: [Lanes<T>; 4]| {
        let (sum, difference) = (half(add(b, c)), half(sub(b, c)));
        [add(a, sum), difference, add(sum, d)]
    })
}
