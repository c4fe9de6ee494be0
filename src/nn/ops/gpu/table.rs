//! Work on all parameters at once: one kernel goes through a table of addresses.

use super::{Gpu, launch};
use candle_core::{DType, Device, Result, Tensor, bail};

/// Words to a row of the table: value, gradient, two slots, elements before.
const ROW: usize = 5;
/// Partial sums of a norm.
const STRIPS: usize = 1 << 14;

/// What a step knows of one parameter; all tensors are contiguous, of one type (float32 or float64), and of one shape.
pub(crate) struct Row<'t> {
    /// Moved in place by an optimiser or a moving average.
    pub(crate) value: &'t Tensor,
    /// Of the loss; to a moving average what it follows.
    pub(crate) gradient: &'t Tensor,
    /// The optimiser's state, moved in place.
    pub(crate) slots: [Option<&'t Tensor>; 2],
}

/// The table on the device.
pub(crate) struct Table<'g> {
    gpu: &'g dyn Gpu,
    rows: Tensor,
    tensors: usize,
    elements: usize,
    dtype: DType,
}

impl<'g> Table<'g> {
    /// Of `rows`, which must outlive the kernels that use it.
    ///
    /// # Errors
    /// If there are none, or they differ in type.
    pub(crate) fn new(gpu: &'g dyn Gpu, rows: &[Row<'_>]) -> Result<Self> {
        let Some(dtype) = rows.first().map(|row| row.gradient.dtype()) else { bail!("no gradient to step with") };
        let mut words = Vec::with_capacity((rows.len() + 1) * ROW);
        let mut elements = 0;
        for row in rows {
            let slots = row.slots.iter().flatten();
            for tensor in [row.value, row.gradient].into_iter().chain(slots.copied()) {
                if tensor.dtype() != dtype || tensor.elem_count() != row.gradient.elem_count() {
                    bail!("a step of {:?} beside {:?} {dtype:?}", tensor.dtype(), row.gradient.dims());
                }
            }
            let slot = |slot: Option<&Tensor>| slot.map_or(Ok(0), |slot| gpu.address(slot));
            words.extend([gpu.address(row.value)?, gpu.address(row.gradient)?]);
            words.extend([slot(row.slots[0])?, slot(row.slots[1])?, elements as u64]);
            elements += row.gradient.elem_count();
        }
        words.extend([0, 0, 0, 0, elements as u64]);
        let words: Vec<i64> = words.into_iter().map(u64::cast_signed).collect();
        let rows_on_host = Tensor::from_vec(words, (rows.len() + 1, ROW), &Device::Cpu)?;
        Ok(Table { gpu, rows: gpu.upload(&rows_on_host)?, tensors: rows.len(), elements, dtype })
    }

    /// SGD; the first slot is the velocity.
    pub(crate) fn sgd(&self, learning_rate: f64, momentum: f64, weight_decay: f64) -> Result<()> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype) = (self.gpu, self.dtype);
        launch!(gpu, "sgd", dtype, elements, [rows, tensors, elements, learning_rate, momentum, weight_decay])
    }

    /// Adam; the slots are first and second moment. `step_size` is the learning rate over the first's bias correction,
    /// `root` the root of the second's.
    pub(crate) fn adam(
        &self,
        [step_size, root]: [f64; 2],
        [beta_1, beta_2]: [f64; 2],
        epsilon: f64,
        weight_decay: f64,
    ) -> Result<()> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype) = (self.gpu, self.dtype);
        launch!(
            gpu,
            "adam",
            dtype,
            elements,
            [rows, tensors, elements, step_size, root, beta_1, beta_2, epsilon, weight_decay]
        )
    }

    /// value ← keep·value + (1 − keep)·gradient: a moving average.
    pub(crate) fn follow(&self, keep: f64) -> Result<()> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype) = (self.gpu, self.dtype);
        launch!(gpu, "follow", dtype, elements, [rows, tensors, elements, keep])
    }

    /// Σ g² over all gradients, in float64.
    pub(crate) fn square_sum(&self) -> Result<f64> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype, strips) = (self.gpu, self.dtype, STRIPS.min(elements));
        let sums = gpu.empty(&[strips], DType::F64)?;
        launch!(gpu, "square_strips", dtype, strips, [rows, tensors, elements, strips, &sums])?;
        Ok(sums.to_vec1::<f64>()?.into_iter().sum())
    }
}
