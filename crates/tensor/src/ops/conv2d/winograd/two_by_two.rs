//! 3×3 convolutions at stride 1 and padding 1 of images of 2×2 pixels: each output sees the whole image, so 9 products do for
//! the 16 that going tap by tap takes.
//!
//! Along one axis y₀ = w₁x₀ + w₂x₁ and y₁ = w₀x₀ + w₁x₁. With z = (y₁, y₀) that is the transpose of a product of
//! polynomials, x(t) · z(t) with the coefficients of w. The algorithm of Toom and Cook at the points 0, 1 and -1 takes three
//! multiplications:
//!
//! ```text
//!     ⎡1  0⎤       ⎡1  0 -1⎤    z  = Lᵀ [(G w) ⊙ (L x)]
//! L = ⎢1  1⎥   G = ⎢0  ½  ½⎥    ∂x = Lᵀ [(G w) ⊙ (L ∂z)]
//!     ⎣1 -1⎦       ⎣0 -½  ½⎦    ∂w = Gᵀ [(L x) ⊙ (L ∂z)]
//! ```
//!
//! In two dimensions z is y turned by 180°. The weights of such layers are much larger than the images, so each is read once, transformed in the
//! second-level cache, and multiplied with while it is there.

use super::kernel::BLOCK;
use super::lanes::{LANES, Transform, load, load_some, store};
use super::tiles::APART;
use crate::ops::conv2d::epilogue::Epilogue;
use crate::ops::host::{Element, filled, with_scratch};
use crate::ops::panels::{Matrix, Panels, VECTORS, pack, packed_length, panel};
use crate::ops::vector::{self, Simd, WithSimd, vectorized};
use rayon::prelude::*;

/// Elements of a transformed image or kernel.
const PLANES: usize = 9;
/// Pixels of an image.
const PIXELS: usize = 4;
/// Images from which on products are worth their while.
const FEWEST_IMAGES: usize = 8;
/// Rows of the weight's gradient to a task.
const ROWS: usize = 64;

/// Whether this algorithm applies and is faster: with fewer channels vectors would be partly empty.
pub(in super::super) fn is_faster([batch, height, width]: [usize; 3], channels: [usize; 2]) -> bool {
    [height, width] == [2, 2] && batch >= FEWEST_IMAGES && channels.iter().all(|channels| *channels >= LANES)
}

/// Whether pixels are counted from the end: those of z.
#[derive(Clone, Copy)]
struct Turned(bool);

impl Turned {
    fn pixel(self, pixel: usize) -> usize {
        if self.0 { PIXELS - 1 - pixel } else { pixel }
    }
}

/// `[batch, 2, 2, out]` from the input and the `[3, 3, in, out]` weight.
pub(in super::super) fn forward<T: Element>(
    batch: usize,
    [channels, out]: [usize; 2],
    x: &[T],
    weight: &[T],
    epilogue: &Epilogue<'_, T>,
) -> Vec<T> {
    let patches = patches(x, batch, channels, BLOCK, Turned(false));
    carry(batch, [channels, out], &patches, Turned(true), epilogue, |tap, [row, column]| Matrix {
        elements: &weight[(tap * channels + row) * out + column..],
        row_stride: out,
        column_stride: 1,
    })
}

/// Gradient with respect to the input.
pub(in super::super) fn backward_input<T: Element>(
    batch: usize,
    [channels, out]: [usize; 2],
    weight: &[T],
    gradient: &[T],
) -> Vec<T> {
    let patches = patches(gradient, batch, out, BLOCK, Turned(true));
    carry(batch, [out, channels], &patches, Turned(false), &Epilogue::NONE, |tap, [row, column]| Matrix {
        elements: &weight[(tap * channels + column) * out + row..],
        row_stride: 1,
        column_stride: out,
    })
}

/// Lᵀ [(G w) ⊙ `patches`], finished: `[batch, 2, 2, columns]`. `weight` gives a tap's matrix `[inner, columns]` from a
/// row and a column on.
fn carry<'w, T: Element>(
    batch: usize,
    [inner, columns]: [usize; 2],
    patches: &[T],
    turned: Turned,
    epilogue: &Epilogue<'_, T>,
    weight: impl Fn(usize, [usize; 2]) -> Matrix<'w, T> + Sync,
) -> Vec<T> {
    let task = |first: usize, mut y: Vec<&mut [T]>| {
        let width = panel::<T>().min(columns - first);
        let plane = (batch * width).next_multiple_of(LANES) + APART;
        with_scratch(PLANES * plane, |products| {
            for (row, patches) in (0..inner).step_by(BLOCK).zip(patches.chunks(PLANES * batch * BLOCK)) {
                let (depth, between) = (BLOCK.min(inner - row), patches.len() / (PLANES * batch));
                let length = packed_length::<T>(depth, width);
                let apart = length + APART;
                with_scratch(PLANES * apart, |kernel| {
                    for (tap, to) in kernel.chunks_exact_mut(apart).enumerate() {
                        pack(&mut to[..length], weight(tap, [row, first]), [depth, width]);
                    }
                    vector::run(InPlace { planes: kernel, apart, kind: Kind::Weight });
                    for (index, elements) in kernel.chunks_exact(apart).enumerate() {
                        let a = Matrix::row_major(&patches[index * batch * between..], between);
                        let c = &mut products[index * plane..][..batch * width];
                        let kernel = Panels { elements, inner: depth, columns: width, apart };
                        kernel.multiply(c, batch, row > 0, a);
                    }
                });
            }
            vector::run(InPlace { planes: products, apart: plane, kind: Kind::Output });
            vectorized(
                #[inline(always)]
                || {
                    for (at, y) in y.iter_mut().enumerate() {
                        let (image, pixel) = (at / PIXELS, turned.pixel(at % PIXELS));
                        y.copy_from_slice(&products[pixel * plane + image * width..][..width]);
                        epilogue.apply(y, at * columns + first, first);
                    }
                },
            );
        });
    };
    let width = panel::<T>();
    filled(batch * PIXELS * columns, |y| {
        let tasks = shared_out(y.chunks_exact_mut(columns), width).into_par_iter();
        tasks.enumerate().for_each(|(index, y)| task(index * width, y));
    })
}

/// Gradient with respect to the weight, `[3, 3, in, out]`.
pub(in super::super) fn backward_weight<T: Element>(
    batch: usize,
    [channels, out]: [usize; 2],
    x: &[T],
    gradient: &[T],
) -> Vec<T> {
    let width = panel::<T>();
    let x = patches(x, batch, channels, ROWS, Turned(false));
    let gradient = patches(gradient, batch, out, width, Turned(true));
    let task = |x: &[T], mut taps: Vec<&mut [T]>| {
        let (rows, between) = (taps[0].len() / out, x.len() / (PLANES * batch));
        for (first, gradient) in (0..out).step_by(width).zip(gradient.chunks(PLANES * batch * width)) {
            let columns = width.min(out - first);
            let (plane, panel) = ((rows * columns).next_multiple_of(LANES) + APART, gradient.len() / PLANES);
            with_scratch(PLANES * plane, |sums| {
                for (index, elements) in gradient.chunks_exact(panel).enumerate() {
                    let x = Matrix::row_major(&x[index * batch * between..], between).transposed();
                    let gradient = Panels { elements, inner: batch, columns, apart: panel };
                    gradient.multiply(&mut sums[index * plane..][..rows * columns], rows, false, x);
                }
                vector::run(InPlace { planes: sums, apart: plane, kind: Kind::WeightGradient });
                for (tap, sums) in taps.iter_mut().zip(sums.chunks_exact(plane)) {
                    let to = tap.chunks_exact_mut(out).map(|row| &mut row[first..first + columns]);
                    to.zip(sums.chunks_exact(columns)).for_each(|(to, from)| to.copy_from_slice(from));
                }
            });
        }
    };
    filled(PLANES * channels * out, |d_weight| {
        let tasks = shared_out(d_weight.chunks_exact_mut(channels * out), ROWS * out).into_par_iter();
        tasks.zip(x.par_chunks(PLANES * batch * ROWS)).for_each(|(taps, x)| task(x, taps));
    })
}

/// Of every slice its first `length` elements for the first task, the next for the second, and so on.
fn shared_out<'s, T: 's>(slices: impl Iterator<Item = &'s mut [T]>, length: usize) -> Vec<Vec<&'s mut [T]>> {
    let mut tasks = Vec::new();
    for slice in slices {
        tasks.resize_with(slice.len().div_ceil(length), Vec::new);
        tasks.iter_mut().zip(slice.chunks_mut(length)).for_each(|(task, part): (&mut Vec<_>, _)| task.push(part));
    }
    tasks
}

/// L x Lᵀ of every image, in blocks of channels, the last filled up to a whole vector with zeros: `[block, plane, batch,
/// channels of the block]`.
fn patches<T: Element>(x: &[T], batch: usize, channels: usize, block: usize, turned: Turned) -> Vec<T> {
    filled(PLANES * batch * whole_vectors::<T>(channels), |to| {
        to.par_chunks_mut(PLANES * batch * block).enumerate().for_each(|(index, to)| {
            vector::run(Patches { x, batch, channels, first: index * block, turned, to });
        });
    })
}

/// `channels`, or a few more.
fn whole_vectors<T: Element>(channels: usize) -> usize {
    channels.next_multiple_of(panel::<T>() / VECTORS)
}

/// Writes L x Lᵀ of the channels from `first` on, as many as `to` holds.
struct Patches<'p, T> {
    x: &'p [T],
    batch: usize,
    /// Channels of x.
    channels: usize,
    first: usize,
    turned: Turned,
    to: &'p mut [T],
}

impl<T: Element> WithSimd for Patches<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Patches { x, batch, channels, first, turned, to } = self;
        let (transform, width, lanes) = (Transform::<T, S>::new(simd), to.len() / (PLANES * batch), T::lanes::<S>());
        for image in 0..batch {
            for at in (0..width).step_by(lanes) {
                let lanes = lanes.min(channels - first - at);
                let transformed = transform.points(
                    #[inline(always)]
                    |i, j| {
                        let pixel = image * PIXELS + turned.pixel(2 * i + j);
                        load_some::<T, S>(simd, x, pixel * channels + first + at, lanes)
                    },
                );
                for plane in 0..PLANES {
                    store::<T, S>(to, (plane * batch + image) * width + at, transformed[plane / 3][plane % 3]);
                }
            }
        }
    }
}

/// What is done to planes where they lie.
#[derive(Clone, Copy)]
enum Kind {
    /// G w Gᵀ: taps become planes.
    Weight,
    /// Lᵀ m L: the first four planes become pixels.
    Output,
    /// Gᵀ u G: planes become taps.
    WeightGradient,
}

struct InPlace<'p, T> {
    planes: &'p mut [T],
    /// Elements of a plane, whole vectors.
    apart: usize,
    kind: Kind,
}

impl<T: Element> WithSimd for InPlace<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let InPlace { planes, apart, kind } = self;
        let transform = Transform::<T, S>::new(simd);
        for first in (0..apart).step_by(T::lanes::<S>()) {
            let at = |i: usize, j: usize| load::<T, S>(planes, (3 * i + j) * apart + first);
            let three = match kind {
                Kind::Weight => transform.weight_at_points(at),
                Kind::WeightGradient => transform.weight_gradient_at_points(at),
                Kind::Output => {
                    let pixels = transform.points_back(at);
                    for pixel in 0..PIXELS {
                        store::<T, S>(planes, pixel * apart + first, pixels[pixel / 2][pixel % 2]);
                    }
                    continue;
                }
            };
            for plane in 0..PLANES {
                store::<T, S>(planes, plane * apart + first, three[plane / 3][plane % 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::geometry::Geometry;
    use crate::ops::conv2d::{Conv2d, unfolded};
    use crate::testing::farthest;
    use matssl_base::random::Stream;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn values_and_gradients_are_those_of_the_unfolded_convolution(
            // Also more images than one running sum of a product takes.
            batch in prop_oneof![FEWEST_IMAGES..20, 60usize..80],
            channels in [LANES..160, LANES..160],
            (relu, seed) in (any::<bool>(), any::<u64>()),
        ) {
            let [c_in, c_out] = channels;
            let mut stream = Stream::new(seed, "two by two", 0, 0);
            let mut normal = |count: usize| (0..count).map(|_| stream.normal()).collect::<Vec<f64>>();
            let (x, weight) = (normal(4 * batch * c_in), normal(9 * c_in * c_out));
            let (gradient, bias) = (normal(4 * batch * c_out), normal(c_out));
            let epilogue = Epilogue { bias: Some(&bias), residual: Some(&gradient), relu };
            let geometry = Geometry::new(&[batch, 2, 2, c_in], &[3, 3, c_in, c_out], &Conv2d::new(1, 1)).unwrap();
            let y = forward(batch, channels, &x, &weight, &epilogue);
            prop_assert!(farthest(&y, &unfolded::forward(&geometry, &x, &weight, &epilogue)) < 1e-10);
            let dx = backward_input(batch, channels, &weight, &gradient);
            prop_assert!(farthest(&dx, &unfolded::backward_input(&geometry, &weight, &gradient)) < 1e-10);
            let dw = backward_weight(batch, channels, &x, &gradient);
            prop_assert!(farthest(&dw, &unfolded::backward_weight(&geometry, &x, &gradient)) < 1e-10);
        }
    }
}
