//! How large a float32 error may be beside PyTorch's, on a CPU and on a GPU.

use crate::hashed;

/// Of our float32's error to PyTorch's.
pub(crate) const RATIO: f64 = 2.0;
/// An error of PyTorch's below half a unit in the last place counts as that: it is luck.
pub(crate) const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;
/// Relative error, in units of [`ROUNDING`] and of √K, of K products of either sign that are summed in float32 one after
/// another: rounding a number has a relative error of 0.42 units (its root mean square), and each of K partial sums, which
/// grow with the square root of their length, is rounded once.
const SEQUENTIAL: f64 = 0.3;
/// Products that PyTorch's convolutions sum one after another on a CPU, before they add up such sums: in `ops.json` their
/// errors grow as √K up to there, and no further (3.6 units from 144 products to 4,608).
const IN_A_ROW_ON_CPU: f64 = 144.0;

/// What is summed for an element of a tensor: on a GPU the error grows with it, as cuDNN and cuBLAS sum in float32 one
/// product after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    /// One sum of so many products; 1 where there is none, or one in double precision.
    Of(usize),
    /// Of a whole network: one sum after another, on average (the mean over its layers) of so many products. Errors of
    /// layers add up in squares, ours as PyTorch's.
    Layers(usize),
}

/// The largest ratio of an error to PyTorch's error `theirs` (of [`ROUNDING`] at least).
///
/// On a CPU that is [`RATIO`]. On a GPU PyTorch's errors, which are a CPU's, are no measure for long sums: there the
/// error may also be [`RATIO`] times that of sums in sequence. Emulated (PyTorch on a CPU, its convolutions replaced by
/// sums in sequence), errors of networks' outputs are 1.4 to 3.2 times PyTorch's own.
pub(crate) fn limit(sums: Sums, theirs: f64, on_gpu: bool) -> f64 {
    let theirs = theirs.max(ROUNDING);
    match sums {
        _ if !on_gpu => RATIO,
        Sums::Of(products) => RATIO.max(RATIO * sequential(products) / theirs),
        Sums::Layers(products) => RATIO * (products as f64 / IN_A_ROW_ON_CPU).sqrt().max(1.0),
    }
}

/// The relative error to be expected of so many products summed in sequence.
fn sequential(products: usize) -> f64 {
    SEQUENTIAL * ROUNDING * (products as f64).sqrt()
}

/// [`limit`] on the device that the tests run on.
pub(crate) fn limit_here(sums: Sums, theirs: f64) -> f64 {
    limit(sums, theirs, hashed::is_on_gpu())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashed::Uniform;

    /// Relative error (L2 over many sums) of `products` float32 products that are summed in sequence, fused or not, of
    /// numbers from `low` to 1.
    fn emulated(products: usize, fused: bool, low: f64) -> f64 {
        let draw = |name: &str| {
            let draws = Uniform::new(&format!("{name} {products} {fused}"));
            move |index: usize| ((low + 1.0) / 2.0 + (1.0 - low) / 2.0 * draws.at(index)) as f32
        };
        let (a, b) = (draw("a"), draw("b"));
        let (mut error, mut norm) = (0.0, 0.0);
        for sum in 0..400 {
            let (mut single, mut exact) = (0f32, 0f64);
            for index in sum * products..(sum + 1) * products {
                let (a, b) = (a(index), b(index));
                single = if fused { a.mul_add(b, single) } else { single + a * b };
                exact += f64::from(a) * f64::from(b);
            }
            error += (f64::from(single) - exact).powi(2);
            norm += exact * exact;
        }
        (error / norm).sqrt()
    }

    /// Lengths of networks' sums: 1×1 of 64 channels to 3×3 of 512, and shorter ones.
    const LENGTHS: [usize; 9] = [9, 27, 64, 147, 256, 576, 1152, 2304, 4608];

    #[test]
    fn sums_in_sequence_keep_the_gpus_bound_and_come_near_it() {
        for products in LENGTHS {
            let bound = limit(Sums::Of(products), ROUNDING, true) * ROUNDING;
            for (fused, low) in [(true, -1.0), (false, -1.0), (true, 0.0)] {
                let error = emulated(products, fused, low);
                let (units, share) = (error / ROUNDING, error / bound);
                println!("{products} products, fused: {fused}, from {low}: {units:.2} units, {share:.2} of the bound");
                // The worst that is allowed is a quarter: then the bound would let through four times such errors.
                assert!((0.25..=1.0).contains(&share), "{products} products, fused: {fused}, from {low}: {share:.2}");
            }
        }
    }

    /// Products of factors with 10 bits after the first, as TF32 rounds them, are not float32's.
    #[test]
    fn the_bound_tells_float32_from_tf32() {
        let rounded = |value: f64| f64::from(f32::from_bits(((value as f32).to_bits() + 0x1000) & !0x1fff));
        for products in LENGTHS {
            let (a, b) = (Uniform::new("a"), Uniform::new("b"));
            let (mut error, mut norm) = (0.0, 0.0);
            for sum in 0..100 {
                let terms = (sum * products..(sum + 1) * products).map(|i| (a.at(i), b.at(i)));
                let (exact, coarse) =
                    terms.fold((0.0, 0.0), |(exact, coarse), (a, b)| (exact + a * b, coarse + rounded(a) * rounded(b)));
                error += (exact - coarse) * (exact - coarse);
                norm += exact * exact;
            }
            let bound = limit(Sums::Of(products), ROUNDING, true) * ROUNDING;
            assert!((error / norm).sqrt() > 10.0 * bound, "{products} products");
        }
    }

    #[test]
    fn on_a_cpu_every_error_is_held_to_twice_pytorchs() {
        for sums in [Sums::Of(1), Sums::Of(4608), Sums::Layers(1), Sums::Layers(4608)] {
            assert_eq!(limit(sums, 3.6 * ROUNDING, false), RATIO);
        }
        // Nor does a GPU get more for what has no such sums, or where PyTorch sums in sequence too.
        assert_eq!(limit(Sums::Of(1), ROUNDING, true), RATIO);
        assert_eq!(limit(Sums::Of(2048), 0.3 * 2048f64.sqrt() * ROUNDING, true), RATIO);
        assert_eq!(limit(Sums::Layers(100), ROUNDING, true), RATIO);
    }
}
