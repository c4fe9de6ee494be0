//! A moving average of the weights, validated and saved in place of the weights.

use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use indexmap::IndexMap;
use matssl_tensor::Parameters;
use matssl_tensor::moving_average::follow;

/// Averages of all trainable parameters. Buffers, such as running statistics, are not averaged.
///
/// After update t (from 1) average ← k·average + (1 − k)·weight with k = min(`keep`, (1 + t) / (10 + t)), as TensorFlow's
/// `ExponentialMovingAverage(keep, num_updates=t)`: the weights that the training began with are soon forgotten, in
/// short trainings too.
pub(super) struct AveragedWeights {
    keep: f64,
    tensors: IndexMap<String, Tensor>,
}

impl AveragedWeights {
    /// Averages that start as copies of `parameters`.
    ///
    /// # Errors
    /// If not 0 ≤ `keep` < 1, or the device has not enough memory.
    pub(super) fn new(keep: f64, parameters: &Parameters) -> Result<Self> {
        ensure!((0.0..1.0).contains(&keep), "ema = {keep}: expected 0 ≤ ema < 1, e.g. 0.999");
        let mut tensors = IndexMap::new();
        for (name, parameter) in parameters.trainable() {
            tensors.insert(name.to_owned(), parameter.var.as_detached_tensor().copy()?);
        }
        Ok(AveragedWeights { keep, tensors })
    }

    /// Adds `parameters` to the averages after update `update`, counted from 1.
    ///
    /// # Errors
    /// If the parameters are not those of the averages.
    pub(super) fn follow(&self, parameters: &Parameters, update: u64) -> Result<()> {
        let keep = self.keep.min((1.0 + update as f64) / (10.0 + update as f64));
        let mut pairs = Vec::with_capacity(self.tensors.len());
        for (name, average) in self.tensors() {
            pairs.push((average, parameters.tensor(name)?));
        }
        Ok(follow(&pairs, keep)?)
    }

    /// Exchanges averages and parameters, bit for bit; a second call undoes it.
    ///
    /// # Errors
    /// If the parameters are not those of the averages, or there is not enough memory for a copy of one of them.
    pub(super) fn swap(&mut self, parameters: &Parameters) -> Result<()> {
        for (name, average) in &mut self.tensors {
            let variable = &parameters.get(name)?.var;
            let weight = variable.as_detached_tensor().copy()?;
            variable.set(average)?;
            *average = weight;
        }
        Ok(())
    }

    /// The averages by parameter name, for a checkpoint.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Restores the averages from [`AveragedWeights::tensors`].
    ///
    /// # Errors
    /// If a tensor is missing or of another shape or type.
    pub(super) fn restore(&mut self, mut values: IndexMap<String, Tensor>) -> Result<()> {
        for (name, average) in &mut self.tensors {
            let value = values.swap_remove(name).with_context(|| format!("no average of {name}"))?;
            ensure!(
                value.dims() == average.dims() && value.dtype() == average.dtype(),
                "the average of {name} is {:?} {:?}, not {:?} {:?}",
                value.dtype(),
                value.dims(),
                average.dtype(),
                average.dims()
            );
            *average = value;
        }
        Ok(())
    }
}
