//! Square cells of pixels as channels, and back: patch merging and patch expanding of transformers.

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// The order of a cell's pixels among the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellOrder {
    /// (row, column) = (0, 0), (1, 0), (0, 1), (1, 1): Swin's patch merging.
    RowsFirst,
    /// (0, 0), (0, 1), (1, 0), (1, 1): patch expanding of Swin-Unet.
    RowMajor,
}

impl CellOrder {
    /// The place of a pixel of a cell with `side` rows.
    fn place(self, side: usize, row: usize, column: usize) -> usize {
        match self {
            CellOrder::RowsFirst => column * side + row,
            CellOrder::RowMajor => row * side + column,
        }
    }
}

/// `[batch, height / side, width / side, side² · channels]` from `[batch, height, width, channels]`.
fn merged_shape(x: &Tensor, side: usize) -> Result<[usize; 4]> {
    let (batch, height, width, channels) = x.dims4()?;
    if side == 0 || !height.is_multiple_of(side) || !width.is_multiple_of(side) || x.elem_count() == 0 {
        bail!("merge_cells: {height}×{width} pixels of {channels} channels in cells of {side}×{side}");
    }
    Ok([batch, height / side, width / side, side * side * channels])
}

/// `[batch, height · side, width · side, channels]` from `[batch, height, width, side² · channels]`.
fn expanded_shape(x: &Tensor, side: usize) -> Result<[usize; 4]> {
    let (batch, height, width, channels) = x.dims4()?;
    if side == 0 || !channels.is_multiple_of(side * side) || x.elem_count() == 0 {
        bail!("expand_cells: {channels} channels are not those of {side}×{side} pixels");
    }
    Ok([batch, height * side, width * side, channels / (side * side)])
}

/// Cells as channels.
///
/// # Errors
/// If the image has no whole cells, or the device or type is not supported.
pub(crate) fn merge(x: &Tensor, side: usize, order: CellOrder) -> Result<Tensor> {
    let (x, shape) = (x.contiguous()?, merged_shape(x, side)?);
    let row = shape[2] * shape[3];
    on_cpu_only!("merge_cells", &x, moved(&x, shape, [row, side, shape[3]], order, true))
}

/// Channels as cells.
///
/// # Errors
/// If the channels are not those of whole cells, or the device or type is not supported.
pub(crate) fn expand(x: &Tensor, side: usize, order: CellOrder) -> Result<Tensor> {
    let (x, shape) = (x.contiguous()?, expanded_shape(x, side)?);
    let (_, _, width, channels) = x.dims4()?;
    on_cpu_only!("expand_cells", &x, moved(&x, shape, [width * channels, side, channels], order, false))
}

/// Moves the pixels of rows of cells, `row` numbers each, of `channels` numbers a cell: into the channels if `merges`, else out.
fn moved<T: Element>(
    x: &Tensor,
    shape: [usize; 4],
    [row, side, channels]: [usize; 3],
    order: CellOrder,
    merges: bool,
) -> Result<Tensor> {
    let x = elements::<T>(x)?;
    let (columns, pixel) = (row / channels, channels / (side * side));
    let y = filled(x.len(), |y| {
        y.par_chunks_mut(row).zip(x.par_chunks(row)).for_each(|(y, x)| {
            for cell in 0..columns {
                for inside in 0..side * side {
                    let (dy, dx) = (inside / side, inside % side);
                    let apart = ((dy * columns + cell) * side + dx) * pixel;
                    let merged = cell * channels + order.place(side, dy, dx) * pixel;
                    let (to, from) = if merges { (merged, apart) } else { (apart, merged) };
                    y[to..to + pixel].copy_from_slice(&x[from..from + pixel]);
                }
            }
        });
    });
    tensor(y, &shape)
}

impl Tape<'_> {
    /// The pixels of each cell of `side`×`side` as channels: `[batch, height / side, width / side, side² · channels]` from `x` `[batch,
    /// height, width, channels]`.
    ///
    /// # Errors
    /// If the image has no whole cells, or the device or type is not supported.
    pub fn merge_cells(&self, x: &Value, side: usize, order: CellOrder) -> Result<Value> {
        let shape = merged_shape(x.tensor(), side)?;
        let output = self.output(&shape, || Err("merge_cells"), || merge(x.tensor(), side, order))?;
        let backward = move |gradient: &Tensor, _: &[bool]| Ok(vec![Some(expand(gradient, side, order)?)]);
        if !self.recomputes() {
            return Ok(self.record(output, &[x], backward));
        }
        let saved = self.save(x);
        Ok(self.record_recomputable(output, &[x], move || merge(&saved.tensor()?, side, order), backward))
    }

    /// The channels of each pixel as a cell of `side`×`side` pixels: `[batch, height · side, width · side, channels]` from `x` `[batch,
    /// height, width, side² · channels]`. The inverse of [`Tape::merge_cells`] in the same order.
    ///
    /// # Errors
    /// If the channels are not those of whole cells, or the device or type is not supported.
    pub fn expand_cells(&self, x: &Value, side: usize, order: CellOrder) -> Result<Value> {
        let shape = expanded_shape(x.tensor(), side)?;
        let output = self.output(&shape, || Err("expand_cells"), || expand(x.tensor(), side, order))?;
        let backward = move |gradient: &Tensor, _: &[bool]| Ok(vec![Some(merge(gradient, side, order)?)]);
        if !self.recomputes() {
            return Ok(self.record(output, &[x], backward));
        }
        let saved = self.save(x);
        Ok(self.record_recomputable(output, &[x], move || expand(&saved.tensor()?, side, order), backward))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    const ORDERS: [CellOrder; 2] = [CellOrder::RowsFirst, CellOrder::RowMajor];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width, channels, side) in (1usize..3, 1usize..3, 1usize..4, 1usize..3, 1usize..4),
            (order, seed) in (0usize..2, any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height * side, width * side, channels]);
            check_gradients_on_cpu(&inputs, |tape| tape.merge_cells(&tape.parameter("x")?, side, ORDERS[order]));
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height, width, channels * side * side]);
            check_gradients_on_cpu(&inputs, |tape| tape.expand_cells(&tape.parameter("x")?, side, ORDERS[order]));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 34, 36, 16]);
        same_bits_for_any_threads(&inputs, |tape| tape.merge_cells(&tape.parameter("x")?, 2, CellOrder::RowsFirst));
        same_bits_for_any_threads(&inputs, |tape| tape.expand_cells(&tape.parameter("x")?, 4, CellOrder::RowMajor));
    }

    /// An image of 2×4 pixels, numbered row by row.
    #[test]
    fn the_orders_are_swins_and_swin_unets() -> Result<()> {
        let x = Tensor::arange(0f32, 8.0, &Device::Cpu)?.reshape((1, 2, 4, 1))?;
        let flat = |x: Tensor| x.flatten_all()?.to_vec1::<f32>();
        assert_eq!(flat(merge(&x, 2, CellOrder::RowsFirst)?)?, [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
        assert_eq!(flat(merge(&x, 2, CellOrder::RowMajor)?)?, [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
        for order in ORDERS {
            let again = expand(&merge(&x, 2, order)?, 2, order)?;
            assert_eq!((again.dims(), flat(again.clone())?), (x.dims(), flat(x.clone())?));
        }
        let error = merge(&x, 3, CellOrder::RowMajor).unwrap_err().to_string();
        assert!(error.contains("2×4 pixels of 1 channels in cells of 3×3"), "{error}");
        let error = expand(&x, 2, CellOrder::RowMajor).unwrap_err().to_string();
        assert!(error.contains("1 channels are not those of 2×2 pixels"), "{error}");
        let error = merge(&x.to_dtype(DType::BF16)?, 2, CellOrder::RowMajor).unwrap_err().to_string();
        assert!(error.contains("merge_cells works in float32 and float64, not in BF16"), "{error}");
        Ok(())
    }
}
