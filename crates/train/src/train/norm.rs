//! Norms of gradients and of parameters, in float64.

use anyhow::{Result, bail};
use candle_core::{CpuStorage, Storage, Tensor};
use matssl_tensor::Gradients;
use matssl_tensor::ops::gpu::{self, Row, Table};
use num_traits::ToPrimitive;
use rayon::prelude::*;

/// √Σ g² over all gradients; the same bits for any number of threads.
pub fn gradient_norm(gradients: &Gradients) -> Result<f64> {
    let device = gradients.iter().next().map(|(_, gradient)| gradient.device().clone());
    if let Some(gpu) = device.map_or(Ok(None), |device| gpu::find(&device))? {
        let contiguous = gradients.iter().map(|(_, gradient)| gradient.contiguous()).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<Row<'_>> = contiguous.iter().map(|gradient| Row::of(gradient, gradient)).collect();
        return Ok(Table::new(&*gpu, &rows)?.square_sum()?.sqrt());
    }
    let sums = gradients.iter().map(|(_, gradient)| square_sum(gradient)).collect::<Result<Vec<f64>>>()?;
    Ok(sums.into_iter().sum::<f64>().sqrt())
}

/// Σ x² over a tensor on the CPU; the same bits for any number of threads.
pub(super) fn square_sum(tensor: &Tensor) -> Result<f64> {
    /// Number of elements in one partial sum.
    const CHUNK: usize = 1 << 14;
    fn over<T: ToPrimitive + Sync>(values: &[T]) -> f64 {
        let square = |value: &T| value.to_f64().unwrap_or(f64::NAN).powi(2);
        let sums: Vec<f64> = values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(square).sum()).collect();
        sums.into_iter().sum()
    }
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let (start, end) = (layout.start_offset(), layout.start_offset() + tensor.elem_count());
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(over(&values[start..end])),
        Storage::Cpu(CpuStorage::F64(values)) => Ok(over(&values[start..end])),
        _ => bail!("norms need float32 or float64 tensors on the CPU"),
    }
}
