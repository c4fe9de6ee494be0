//! Sums over rows: strips of rows in parallel, then strips of strips, in an order that the sizes alone decide.

use super::argument::launch;
use super::device::Gpu;
use super::element_type::{wide_type, width};
use candle_core::{DType, Result, Tensor};

/// Threads among which rows are divided: enough to keep a large GPU's memory busy.
const THREADS: usize = 1 << 16;
/// Strips that the last thread of a column adds up.
const FOLDS: usize = 64;

/// Strips for `rows` of `groups` threads each.
fn strips(rows: usize, groups: usize) -> usize {
    (THREADS / groups.max(1)).clamp(1, rows.max(1))
}

/// Adds up `columns` sums over strips of `rows` rows of `channels` channels, of type `dtype`. `fill` writes `[strips, columns]`,
/// given the output, the number of strips, the number of threads, and whether a thread takes several channels. The result is
/// float64 `[folds, columns]`, which the caller adds up, and the number of folds.
pub fn strip_sums(
    gpu: &dyn Gpu,
    dtype: DType,
    [rows, channels, columns]: [usize; 3],
    fill: impl FnOnce(&Tensor, usize, usize, bool) -> Result<()>,
) -> Result<(Tensor, usize)> {
    let width = width(dtype, &[channels]);
    let groups = channels / width;
    let strips = strips(rows, groups);
    let sums = gpu.empty(&[strips, columns], wide_type(dtype))?;
    fill(&sums, strips, strips * groups, width > 1)?;
    let folds = FOLDS.min(strips);
    let folded = gpu.empty(&[folds, columns], DType::F64)?;
    launch!(gpu, "fold", wide_type(dtype), folds * columns, [&sums, strips, columns, folds, &folded])?;
    Ok((folded, folds))
}

/// The sum of each column of the contiguous `x` `[.., channels]`, in the type of parameters.
pub fn column_sums(gpu: &dyn Gpu, x: &Tensor, channels: usize) -> Result<Tensor> {
    let (dtype, rows) = (x.dtype(), x.elem_count() / channels.max(1));
    let (folded, folds) = strip_sums(gpu, dtype, [rows, channels, channels], |sums, strips, threads, wide| {
        launch!(gpu, "column_strips", dtype, threads, [x, rows, channels, strips, wide, sums])
    })?;
    let total = gpu.empty(&[channels], wide_type(dtype))?;
    launch!(gpu, "column_sums", dtype, channels, [&folded, folds, channels, &total])?;
    Ok(total)
}
