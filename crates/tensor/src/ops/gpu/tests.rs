//! How exact the kernels' sums are, on the pretended GPU: against float64 and the CPU's side.

use super::pretend::{self, Pretend};
use crate::ops::global_average_pool;
use crate::ops::gpu::{Gpu, launch, strip_sums};
use candle_core::{DType, Device, Result, Tensor};
use half::bf16;
use matssl_base::random::Stream;

/// Half a unit in the last place of float32, relative to the number.
const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

/// Numbers from `low` to 1, rounded to float32.
fn drawn(what: u64, count: usize, low: f64) -> Vec<f32> {
    let mut stream = Stream::new(what, "accuracy test", 0, 0);
    (0..count).map(|_| (low + (1.0 - low) * stream.uniform()) as f32).collect()
}

fn doubles(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

#[test]
fn a_mean_over_1024_pixels_is_as_exact_as_the_cpus() {
    let x = Tensor::from_vec(drawn(1, 2 * 32 * 32 * 64, 0.0), (2, 32, 32, 64), &Device::Cpu).unwrap();
    let means = |x: &Tensor| doubles(&global_average_pool::forward(x).unwrap()).unwrap();
    let (truth, cpu) = (means(&x.to_dtype(DType::F64).unwrap()), means(&x));
    let Some(gpu) = pretend::on(|| means(&x)) else { return };
    assert_eq!(gpu.len(), 128);
    for ((gpu, cpu), truth) in gpu.iter().zip(cpu).zip(truth) {
        // A double's own roundings come on top of float32's.
        let allowed = (2.0 * (cpu - truth).abs()).max(1.000_001 * ROUNDING * truth.abs());
        assert!((gpu - truth).abs() <= allowed, "{gpu}, {cpu} on the CPU, {truth} in float64");
    }
}

/// 512 channels, 4×4 pixels, 3×3, 8 channels out: forward, gradients of input and weight.
const SIZES: [usize; 12] = [2, 4, 4, 512, 4, 4, 8, 3, 3, 1, 1, 1];

/// The three convolutions of `x` `[2, 4, 4, 512]`, `weight` `[3, 3, 512, 8]` and `dy` `[2, 4, 4, 8]` by our own kernels.
fn direct(x: &Tensor, weight: &Tensor, dy: &Tensor) -> Result<[Tensor; 3]> {
    let [batch, height, width, inputs, out_height, out_width, outputs, kernel_h, kernel_w, stride, padding, dilation] =
        SIZES;
    let (gpu, dtype) = (&Pretend, x.dtype());
    /// Computes a target of the given shape and type from two tensors.
    macro_rules! run {
        ($kernel:literal, $a:expr, $b:expr, $like:expr) => {{
            let target = gpu.empty($like.dims(), $like.dtype())?;
            launch!(
                gpu,
                $kernel,
                dtype,
                target.elem_count(),
                [
                    $a, $b, &target, batch, height, width, inputs, out_height, out_width, outputs, kernel_h, kernel_w,
                    stride, padding, dilation,
                ]
            )?;
            target
        }};
    }
    Ok([
        run!("direct_forward", x, weight, dy),
        run!("direct_data", dy, weight, x),
        run!("direct_weight", x, dy, weight),
    ])
}

/// Sums and products are exact but for double's own roundings, which are the same in float64: so the results are those of
/// float64, rounded once, to the bit.
#[test]
fn direct_convolutions_round_their_sums_once() {
    let x = Tensor::from_vec(drawn(2, 2 * 4 * 4 * 512, -1.0), (2, 4, 4, 512), &Device::Cpu).unwrap();
    let weight = Tensor::from_vec(drawn(3, 9 * 512 * 8, -1.0), (3, 3, 512, 8), &Device::Cpu).unwrap();
    let dy = Tensor::from_vec(drawn(4, 2 * 4 * 4 * 8, -1.0), (2, 4, 4, 8), &Device::Cpu).unwrap();
    let round_trip = |tensor: &Tensor, dtype| tensor.to_dtype(dtype)?.to_dtype(DType::F64);
    for dtype in [DType::F32, DType::BF16] {
        let run = || -> Result<_> {
            let found = direct(&x.to_dtype(dtype)?, &weight, &dy.to_dtype(dtype)?)?;
            let (x, dy) = (round_trip(&x, dtype)?, round_trip(&dy, dtype)?);
            let exact = direct(&x, &weight.to_dtype(DType::F64)?, &dy)?;
            Ok((found, exact))
        };
        let Some(outcome) = pretend::on(run) else { return };
        let (found, exact) = outcome.unwrap();
        for (found, exact) in found.iter().zip(&exact) {
            let is_bf16 = found.dtype() == DType::BF16;
            let rounded =
                |value: f64| if is_bf16 { bf16::from_f32(value as f32).to_f64() } else { f64::from(value as f32) };
            let expected: Vec<f64> = doubles(exact).unwrap().into_iter().map(rounded).collect();
            assert!(doubles(found).unwrap() == expected, "{dtype:?}, {:?}", found.dims());
        }
    }
}

/// Strips, and rows in each, of a sum over `rows` pixels.
fn strips(rows: usize, channels: usize, dtype: DType) -> Result<(usize, usize)> {
    let mut found = 0;
    strip_sums(&Pretend, dtype, [rows, channels, channels], |_, strips, _, _| {
        found = strips;
        Ok(())
    })?;
    Ok((found, rows.div_ceil(found)))
}

/// The error, relative to the sum, of column sums of `values` over `strips` strips, before the sum is rounded to float32.
fn strip_error(values: &Tensor, strips: usize, channels: usize) -> Result<f64> {
    let rows = values.elem_count() / channels;
    let sums = Pretend.empty(&[strips, channels], DType::F32)?;
    let (folds, wide) = (64usize.min(strips), true);
    let folded = Pretend.empty(&[folds, channels], DType::F64)?;
    let threads = strips * channels / 4;
    launch!(&Pretend, "column_strips", DType::F32, threads, [values, rows, channels, strips, wide, &sums])?;
    launch!(&Pretend, "fold", DType::F32, folds * channels, [&sums, strips, channels, folds, &folded])?;
    let found = folded.sum(0)?.to_vec1::<f64>()?;
    let truth = values.to_dtype(DType::F64)?.reshape((rows, channels))?.sum(0)?.to_vec1::<f64>()?;
    Ok(found.iter().zip(truth).map(|(found, truth)| ((found - truth) / truth).abs()).fold(0.0, f64::max))
}

/// A strip is summed in float32: in double precision batch norms in bfloat16 would take a GPU longer than their memory
/// does, by the conversions alone (some 5 · 10¹² a second are needed, and an H200 does 4 · 10¹²). Float32 is good enough: the
/// longest strips, those of U-Net++ at batch 128 on 256×256 pixels, have 640 rows, and the errors of many strips cancel out.
/// The worst are pixels that are all equal, where they do not: up to 142 roundings of 640 rows, 10⁻⁵ of the sum.
#[test]
fn strips_in_float32_are_short_enough() {
    let pixels = 128 * 256 * 256;
    let shapes = [(pixels, 16), (pixels / 4, 64), (pixels / 16, 256), (pixels / 1024, 2048), (pixels, 5), (pixels, 1)];
    for (rows, channels) in shapes {
        let run = || -> Result<_> {
            let (count, length) = strips(rows, channels, DType::F32)?;
            // As many strips as there are, or fewer, which cancel out less.
            let emulated = count.min(1024);
            let values = Tensor::from_vec(drawn(5, emulated * length * 4, 0.0), (emulated * length, 4), &Device::Cpu)?;
            Ok((count, length, strip_error(&values, emulated, 4)?))
        };
        let Some(outcome) = pretend::on(run) else { return };
        let (count, length, error) = outcome.unwrap();
        println!("{rows} × {channels}: {count} strips of {length} rows, {:.2} roundings", error / ROUNDING);
        assert!(length <= 641 && error <= ROUNDING, "{rows} × {channels}: strips of {length}, off by {error:e}");
    }
}
