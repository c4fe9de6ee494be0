//! Operations on all parameters at once: one kernel with a table of addresses.

use super::argument::launch;
use super::device::Gpu;
use candle_core::{DType, Device, Result, Tensor, bail};

/// Words to a row of the table: value, gradient, two slots, elements before, whether weight decay applies.
const ROW: usize = 6;
/// Partial sums of a norm.
const STRIPS: usize = 1 << 14;
/// Partial sums of each tensor's norm, at most, and sums of those.
const TENSOR_STRIPS: usize = 1 << 12;
const FOLDS: usize = 64;

/// The tensors of one parameter in a step: contiguous, of one type (float32 or float64) and one shape.
pub struct Row<'t> {
    /// Changed in place by an optimiser or a moving average.
    pub value: &'t Tensor,
    /// The gradient of the loss; for a moving average the value that it follows.
    pub gradient: &'t Tensor,
    /// The optimiser's state, changed in place.
    pub slots: [Option<&'t Tensor>; 2],
    /// Whether weight decay applies.
    pub decayed: bool,
}

impl<'t> Row<'t> {
    /// Without an optimiser's state.
    pub fn of(value: &'t Tensor, gradient: &'t Tensor) -> Self {
        Row { value, gradient, slots: [None, None], decayed: false }
    }
}

/// A step of SGD or LARS.
pub struct MomentumStep {
    /// The learning rate.
    pub learning_rate: f64,
    /// The factor of the velocity.
    pub momentum: f64,
    /// Whether the step looks ahead (Nesterov).
    pub nesterov: bool,
    /// The factor of the gradients.
    pub scale: f64,
    /// Added to the gradient.
    pub weight_decay: f64,
}

/// A step of Adam or AdamW.
pub struct AdamStep {
    /// The learning rate over the first moment's bias correction.
    pub step_size: f64,
    /// The root of the second moment's bias correction.
    pub root: f64,
    /// The factors of the two moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// The factor of the gradients.
    pub scale: f64,
    /// Added to the gradient.
    pub weight_decay: f64,
    /// The factor of values by decoupled weight decay.
    pub shrink: f64,
}

/// The table on the device.
pub struct Table<'g> {
    gpu: &'g dyn Gpu,
    rows: Tensor,
    tensors: usize,
    elements: usize,
    /// Elements of the largest tensor.
    most: usize,
    dtype: DType,
}

impl<'g> Table<'g> {
    /// The table of `rows`, whose tensors must outlive the kernels that use it.
    ///
    /// # Errors
    /// If there are none, or they differ in type.
    pub fn new(gpu: &'g dyn Gpu, rows: &[Row<'_>]) -> Result<Self> {
        let Some(dtype) = rows.first().map(|row| row.gradient.dtype()) else { bail!("no gradient to step with") };
        let mut words = Vec::with_capacity((rows.len() + 1) * ROW);
        let (mut elements, mut most) = (0, 0);
        for row in rows {
            let (count, slots) = (row.gradient.elem_count(), row.slots.iter().flatten());
            for tensor in [row.value, row.gradient].into_iter().chain(slots.copied()) {
                if tensor.dtype() != dtype || tensor.elem_count() != count {
                    bail!("a step of {:?} beside {:?} {dtype:?}", tensor.dtype(), row.gradient.dims());
                }
            }
            let slot = |slot: Option<&Tensor>| slot.map_or(Ok(0), |slot| gpu.address(slot));
            words.extend([gpu.address(row.value)?, gpu.address(row.gradient)?]);
            words.extend([slot(row.slots[0])?, slot(row.slots[1])?, elements as u64, row.decayed.into()]);
            elements += count;
            most = most.max(count);
        }
        words.extend([0, 0, 0, 0, elements as u64, 0]);
        let words: Vec<i64> = words.into_iter().map(u64::cast_signed).collect();
        let rows_on_host = Tensor::from_vec(words, (rows.len() + 1, ROW), &Device::Cpu)?;
        Ok(Table { gpu, rows: gpu.upload(&rows_on_host)?, tensors: rows.len(), elements, most, dtype })
    }

    /// SGD; the first slot is the velocity. With `rates` from [`Table::lars_rates`], LARS.
    pub fn sgd(&self, step: &MomentumStep, rates: Option<&Tensor>) -> Result<()> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype) = (self.gpu, self.dtype);
        let &MomentumStep { learning_rate, momentum, nesterov, scale, weight_decay } = step;
        launch!(
            gpu,
            "sgd",
            dtype,
            elements,
            [rows, tensors, elements, learning_rate, momentum, nesterov, scale, weight_decay, rates]
        )
    }

    /// LARS's rate and weight decay of each tensor, float64 `[tensors, 2]`, from norms that are summed in an order that
    /// the sizes alone decide.
    pub fn lars_rates(&self, scale: f64, weight_decay: f64, trust_coefficient: f64, epsilon: f64) -> Result<Tensor> {
        let (rows, tensors, columns) = (&self.rows, self.tensors, 2 * self.tensors);
        let (gpu, strips) = (self.gpu, TENSOR_STRIPS.min(self.most).max(1));
        let sums = gpu.empty(&[strips, columns], DType::F64)?;
        launch!(gpu, "lars_strips", self.dtype, strips * tensors, [rows, tensors, strips, &sums])?;
        let folds = FOLDS.min(strips);
        let folded = gpu.empty(&[folds, columns], DType::F64)?;
        launch!(gpu, "fold", DType::F64, folds * columns, [&sums, strips, columns, folds, &folded])?;
        let rates = gpu.empty(&[tensors, 2], DType::F64)?;
        launch!(
            gpu,
            "lars_rates",
            self.dtype,
            tensors,
            [rows, tensors, folds, &folded, scale, weight_decay, trust_coefficient, epsilon, &rates]
        )?;
        Ok(rates)
    }

    /// Adam; the slots are first and second moment.
    pub fn adam(&self, step: &AdamStep) -> Result<()> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype) = (self.gpu, self.dtype);
        let &AdamStep { step_size, root, betas: [beta_1, beta_2], epsilon, scale, weight_decay, shrink } = step;
        launch!(
            gpu,
            "adam",
            dtype,
            elements,
            [rows, tensors, elements, step_size, root, beta_1, beta_2, epsilon, scale, weight_decay, shrink]
        )
    }

    /// value ← keep·value + (1 − keep)·gradient: a moving average.
    pub fn follow(&self, keep: f64) -> Result<()> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype) = (self.gpu, self.dtype);
        launch!(gpu, "follow", dtype, elements, [rows, tensors, elements, keep])
    }

    /// Σ g² over all gradients, in float64.
    pub fn square_sum(&self) -> Result<f64> {
        let (rows, tensors, elements) = (&self.rows, self.tensors, self.elements);
        let (gpu, dtype, strips) = (self.gpu, self.dtype, STRIPS.min(elements));
        let sums = gpu.empty(&[strips], DType::F64)?;
        launch!(gpu, "square_strips", dtype, strips, [rows, tensors, elements, strips, &sums])?;
        Ok(sums.to_vec1::<f64>()?.into_iter().sum())
    }
}
