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

use crate::ops::host::Element;
use crate::ops::vector::Simd;

/// Channels that a tensor must have: the widest vector of float32 has so many lanes.
pub(super) const LANES: usize = 16;

/// Where to begin so that whole vectors cover `channels`, which are at least [`LANES`]: the last may overlap.
#[inline(always)]
pub(super) fn firsts<T: Element, S: Simd>(channels: usize) -> impl Iterator<Item = usize> {
    let lanes = T::lanes::<S>();
    (0..channels.div_ceil(lanes)).map(move |index| (index * lanes).min(channels - lanes))
}

/// The channels from `first` on.
#[inline(always)]
pub(super) fn load<T: Element, S: Simd>(from: &[T], first: usize) -> T::Of<S> {
    T::split::<S>(&from[first..first + T::lanes::<S>()]).0[0]
}

/// The `lanes` channels from `first` on, at most a vector, then zeros.
#[inline(always)]
pub(super) fn load_some<T: Element, S: Simd>(simd: S, from: &[T], first: usize, lanes: usize) -> T::Of<S> {
    let from = &from[first..first + lanes];
    match T::split::<S>(from).0.first() {
        Some(whole) => *whole,
        None => T::partial(simd, from),
    }
}

/// Writes the channels from `first` on.
#[inline(always)]
pub(super) fn store<T: Element, S: Simd>(to: &mut [T], first: usize, vector: T::Of<S>) {
    T::split_mut::<S>(&mut to[first..first + T::lanes::<S>()]).0[0] = vector;
}

/// The transforms, on vectors of channels.
pub(super) struct Transform<T, S> {
    pub(super) simd: S,
    numbers: std::marker::PhantomData<T>,
}

impl<T: Element, S: Simd> Transform<T, S> {
    pub(super) fn new(simd: S) -> Self {
        Transform { simd, numbers: std::marker::PhantomData }
    }

    #[inline(always)]
    fn add(&self, a: T::Of<S>, b: T::Of<S>) -> T::Of<S> {
        T::sum(self.simd, a, b)
    }

    #[inline(always)]
    fn sub(&self, a: T::Of<S>, b: T::Of<S>) -> T::Of<S> {
        T::difference(self.simd, a, b)
    }

    #[inline(always)]
    fn half(&self, a: T::Of<S>) -> T::Of<S> {
        T::product(self.simd, a, T::splat(self.simd, T::narrow(0.5)))
    }

    #[inline(always)]
    pub(super) fn zero(&self) -> T::Of<S> {
        T::splat(self.simd, T::zero())
    }

    /// Applies `line` to every column, then to every row of what that gives: L d Lᵀ.
    #[inline(always)]
    fn both_ways<const N: usize, const M: usize>(
        &self,
        at: impl Fn(usize, usize) -> T::Of<S>,
        line: impl Fn([T::Of<S>; N]) -> [T::Of<S>; M],
    ) -> [[T::Of<S>; M]; M] {
        let mut columns = [[self.zero(); N]; M];
        for column in 0..N {
            let mut vectors = [self.zero(); N];
            for (row, vector) in vectors.iter_mut().enumerate() {
                *vector = at(row, column);
            }
            let vectors = line(vectors);
            for row in 0..M {
                columns[row][column] = vectors[row];
            }
        }
        let mut both = [[self.zero(); M]; M];
        for row in 0..M {
            both[row] = line(columns[row]);
        }
        both
    }

    /// Bᵀ d B of a 4×4 patch of the input.
    #[inline(always)]
    pub(super) fn input(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 4]; 4] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c, d]: [T::Of<S>; 4]| [self.sub(a, c), self.add(b, c), self.sub(c, b), self.sub(b, d)],
        )
    }

    /// Bᵀ d B where the patch is a 3×3 one of an image of half the size, its middle row and column doubled: line 2 of
    /// the result would be 0, in rows and columns, and is left out.
    #[inline(always)]
    pub(super) fn doubled_input(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 3]; 3] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c]: [T::Of<S>; 3]| [self.sub(a, b), self.add(b, b), self.sub(b, c)],
        )
    }

    /// Aᵀ m A: 2×2 pixels of the output.
    #[inline(always)]
    pub(super) fn output(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 2]; 2] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c, d]: [T::Of<S>; 4]| [self.add(a, self.add(b, c)), self.sub(self.sub(b, c), d)],
        )
    }

    /// The sum of the four pixels of Aᵀ m A, to which line 2 of m does not contribute: `at` counts the lines 0, 1, 3.
    #[inline(always)]
    pub(super) fn output_sum(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> T::Of<S> {
        let [[sum]] = self.both_ways(
            at,
            #[inline(always)]
            |[a, b, d]: [T::Of<S>; 3]| [self.sub(self.add(a, self.add(b, b)), d)],
        );
        sum
    }

    /// A g Aᵀ: what the gradient of 2×2 output pixels is to m.
    #[inline(always)]
    pub(super) fn gradient(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 4]; 4] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b]: [T::Of<S>; 2]| [a, self.add(a, b), self.sub(a, b), self.sub(self.zero(), b)],
        )
    }

    /// G w Gᵀ of a 3×3 kernel.
    #[inline(always)]
    pub(super) fn weight(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 4]; 4] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c]: [T::Of<S>; 3]| {
                let outer = self.add(a, c);
                [a, self.half(self.add(outer, b)), self.half(self.sub(outer, b)), c]
            },
        )
    }

    /// Gᵀ u G: what the gradient of the transformed kernel is to the kernel.
    #[inline(always)]
    pub(super) fn weight_gradient(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 3]; 3] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c, d]: [T::Of<S>; 4]| {
                let (sum, difference) = (self.half(self.add(b, c)), self.half(self.sub(b, c)));
                [self.add(a, sum), difference, self.add(sum, d)]
            },
        )
    }

    /// L d Lᵀ of an image of 2×2 pixels ([`super::two_by_two`]).
    #[inline(always)]
    pub(super) fn points(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 3]; 3] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b]: [T::Of<S>; 2]| [a, self.add(a, b), self.sub(a, b)],
        )
    }

    /// Lᵀ m L: 2×2 pixels.
    #[inline(always)]
    pub(super) fn points_back(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 2]; 2] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c]: [T::Of<S>; 3]| [self.add(a, self.add(b, c)), self.sub(b, c)],
        )
    }

    /// G w Gᵀ of a 3×3 kernel for such an image.
    #[inline(always)]
    pub(super) fn weight_at_points(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 3]; 3] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c]: [T::Of<S>; 3]| [self.sub(a, c), self.half(self.add(b, c)), self.half(self.sub(c, b))],
        )
    }

    /// Gᵀ u G: what the gradient of that is to the kernel.
    #[inline(always)]
    pub(super) fn weight_gradient_at_points(&self, at: impl Fn(usize, usize) -> T::Of<S>) -> [[T::Of<S>; 3]; 3] {
        self.both_ways(
            at,
            #[inline(always)]
            |[a, b, c]: [T::Of<S>; 3]| [a, self.half(self.sub(b, c)), self.sub(self.half(self.add(b, c)), a)],
        )
    }
}
