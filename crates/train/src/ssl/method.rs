//! What a self-supervised method is.

use super::online::Online;
use crate::networks::Encoder;
use candle_core::{DType, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// Parameters of a method, as the user writes them in `method = { name = "…", … }`.
pub trait MethodParameters: Serialize + DeserializeOwned + JsonSchema + Debug + Send + Sync + 'static {
    /// The word in the experiment file.
    const NAME: &'static str;
    /// All columns that the method may add to the history: [`SslMethod::parts`] and [`SslMethod::columns`].
    const COLUMNS: &'static [&'static str] = &[];

    /// What serde cannot say about the parameters.
    ///
    /// # Errors
    /// One line that says what would be right.
    fn check(&self) -> Result<(), String>;

    /// What does not fit batches of `pairs` pairs of views.
    ///
    /// # Errors
    /// One line that says what would be right.
    fn check_batch(&self, _pairs: usize) -> Result<(), String> {
        Ok(())
    }

    /// Inserts what the method trains in addition to the encoder into `parameters`, drawn from `stream`. State that a method
    /// carries from step to step belongs there too, as buffers: then it is in every checkpoint.
    ///
    /// # Errors
    /// If a name is taken.
    fn build(
        &self,
        encoder: &Encoder,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> candle_core::Result<Box<dyn SslMethod>>;
}

/// A method under training: heads and loss. Whatever it carries from step to step (a momentum encoder, a queue) lies in
/// the parameters as buffers, so that it is in every checkpoint.
pub trait SslMethod: Send {
    /// The loss of a batch of two views, each `[batch, height, width, 3]`, normalised, at one step of a training. The
    /// caller takes the loss back through `online`.
    ///
    /// # Errors
    /// If shapes do not fit.
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], moment: Moment) -> candle_core::Result<MethodLoss>;

    /// Passes through the encoder whose tensors are kept for one common backward pass: for the estimate of memory.
    fn recorded_passes(&self) -> u64 {
        2
    }

    /// Bytes that heads and loss work in on `batch` pairs of views of `size` pixels, where that is more than a vector a view:
    /// for the same estimate.
    fn loss_bytes(&self, _batch: usize, _size: usize) -> u64 {
        0
    }

    /// Names of [`MethodLoss::parts`]: columns of the history.
    fn parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// Columns of the history beyond those that every method has.
    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    /// Their values at the end of an epoch.
    ///
    /// # Errors
    /// If a parameter is missing.
    fn values(&self, _parameters: &Parameters) -> candle_core::Result<Vec<f64>> {
        Ok(Vec::new())
    }
}

/// The position of a step in its training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Steps taken, over all epochs.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The seed of the stage, for random numbers that a method draws in a step.
    pub seed: u64,
}

/// The loss of a batch.
pub struct MethodLoss {
    /// Scalar, with candle's graph behind it.
    pub loss: Tensor,
    /// One for each of [`SslMethod::parts`].
    pub parts: Vec<f64>,
    /// The two views' embeddings `[batch, dimensions]`, of which row i belongs to one image: for the [`Watch`](super::Watch).
    pub embeddings: [Tensor; 2],
}

/// A scalar loss as a number.
pub(super) fn value(loss: &Tensor) -> candle_core::Result<f64> {
    loss.detach().to_dtype(DType::F64)?.to_scalar()
}

/// For [`MethodParameters::check`] of contrastive methods.
pub(super) fn check_temperature(temperature: f64) -> Result<(), String> {
    // Also false for NaN.
    if temperature > 0.0 && temperature.is_finite() {
        Ok(())
    } else {
        Err(format!("temperature = {temperature}: a temperature is above 0, as 0.07"))
    }
}

/// Likewise for a part of something, from 0 to 1.
pub(super) fn check_part(name: &str, part: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&part) { Ok(()) } else { Err(format!("{name} = {part} is out of range: 0 to 1")) }
}

/// Likewise for the weight of a part of a loss.
pub(super) fn check_weight(name: &str, weight: f64) -> Result<(), String> {
    if weight >= 0.0 && weight.is_finite() {
        Ok(())
    } else {
        Err(format!("{name} = {weight}: a weight is a number from 0 on"))
    }
}
