//! Batch norms on the tape, with their running statistics.

use super::backward::backward;
use super::constants::{EPSILON, MOMENTUM};
use super::forward::forward;
use super::gpu;
use super::moments::{moments, trainable_channels};
use super::statistics::Moments;
use crate::graph::Operation;
use crate::ops::gpu::of;
use crate::saved::Saved;
use crate::tape::{Mode, Tape, Value};
use candle_core::{Result, Tensor};

impl Tape<'_> {
    /// Batch norm with the parameters `prefix.weight`, `.bias`, `.running_mean`, `.running_var` and
    /// `.num_batches_tracked`, plus `residual`, through a ReLU if `relu`. In [`Mode::Train`] it moves the last three,
    /// with the unbiased variance, unless they are frozen ([`Parameters::with_frozen_norms`](crate::Parameters::with_frozen_norms)).
    ///
    /// # Errors
    /// If a parameter is missing, or the input has fewer than two values to a channel.
    pub fn batch_norm(&self, x: &Value, prefix: &str, residual: Option<&Value>, relu: bool) -> Result<Value> {
        let weight = self.parameter(&format!("{prefix}.weight"))?;
        let bias = self.parameter(&format!("{prefix}.bias"))?;
        self.normalized(x, prefix, (weight, bias), residual, relu)
    }

    /// Batch norm without scale and shift (PyTorch's `affine=False`), with the buffers `prefix.running_mean` and so on.
    ///
    /// # Errors
    /// As [`Tape::batch_norm`].
    pub fn plain_batch_norm(&self, x: &Value, prefix: &str) -> Result<Value> {
        let zeros = self.parameters().tensor(&format!("{prefix}.running_mean"))?.zeros_like()?;
        let vectors = (self.constant(zeros.ones_like()?), self.constant(zeros));
        self.normalized(x, prefix, vectors, None, false)
    }

    fn normalized(
        &self,
        x: &Value,
        prefix: &str,
        (weight, bias): (Value, Value),
        residual: Option<&Value>,
        relu: bool,
    ) -> Result<Value> {
        let batch = self.mode() == Mode::Train && !self.parameters().has_frozen_norm(prefix);
        let moments = if batch && !self.is_dry() {
            self.batch_moments(prefix, x.tensor())?
        } else {
            self.running_moments(prefix)?
        };
        let inputs: Vec<&Value> = [x, &weight, &bias].into_iter().chain(residual).collect();
        let vectors = (weight.tensor().clone(), bias.tensor().clone());
        let describe = || {
            // Without a scale of its own there is no name for one.
            if self.parameters().get(&format!("{prefix}.weight")).is_err() {
                return Err("plain_batch_norm");
            }
            let operation = Operation::BatchNorm { prefix: prefix.to_owned(), epsilon: EPSILON, relu };
            Ok((operation, [x].into_iter().chain(residual).map(|value| value.tensor().id()).collect()))
        };
        let output = self.output(x.tensor().dims(), describe, || {
            forward(x.tensor(), &moments, (&vectors.0, &vectors.1), residual.map(Value::tensor), relu)
        })?;
        let saved = (self.save(x), residual.map(|residual| self.save(residual)));
        let (x, again) = (saved.clone(), (moments.clone(), vectors.clone()));
        let again = move || {
            let ((x, residual), (moments, vectors)) = (&x, &again);
            let residual = residual.as_ref().map(Saved::tensor).transpose()?;
            forward(&x.tensor()?, moments, (&vectors.0, &vectors.1), residual.as_ref(), relu)
        };
        Ok(self.record_recomputable(output, &inputs, again, move |gradient, _| {
            // Without a ReLU the residual takes no part in the gradients.
            let residual = saved.1.filter(|_| relu).as_ref().map(Saved::tensor).transpose()?;
            let vectors = (&vectors.0, &vectors.1);
            let found = backward(&saved.0.tensor()?, (&moments, batch), vectors, residual.as_ref(), relu, gradient)?;
            Ok(vec![Some(found.x), Some(found.weight), Some(found.bias), Some(found.residual)])
        }))
    }

    /// What a batch norm with the running statistics is to a convolution before it: a factor and a summand `[channels]`.
    pub(crate) fn folded_norm(&self, prefix: &str) -> Result<(Tensor, Tensor)> {
        let Moments { mean, variance } = self.running_moments(prefix)?;
        let weight = self.parameter(&format!("{prefix}.weight"))?;
        let scale = (weight.tensor() / (variance + EPSILON)?.sqrt()?)?;
        let bias = (self.parameter(&format!("{prefix}.bias"))?.tensor() - (mean * &scale)?)?;
        Ok((scale, bias))
    }

    /// The running statistics below `prefix`.
    pub(crate) fn running_moments(&self, prefix: &str) -> Result<Moments> {
        let buffer = |name: &str| self.parameter(&format!("{prefix}.{name}")).map(|value| value.tensor().clone());
        Ok(Moments { mean: buffer("running_mean")?, variance: buffer("running_var")? })
    }

    /// Moments of `x`, with which the running statistics below `prefix` move.
    fn batch_moments(&self, prefix: &str, x: &Tensor) -> Result<Moments> {
        if let Some(gpu) = of("batch_norm", x)? {
            let buffer = |name: &str| self.parameters().tensor(&format!("{prefix}.{name}"));
            let running = gpu::Running {
                mean: buffer("running_mean")?,
                variance: buffer("running_var")?,
                tracked: buffer("num_batches_tracked")?,
            };
            return gpu::moments(&*gpu, &x.contiguous()?, trainable_channels(x)?, Some(running));
        }
        let found = moments(x)?;
        self.move_running_statistics(prefix, &found, x.elem_count())?;
        Ok(found)
    }

    fn move_running_statistics(&self, prefix: &str, moments: &Moments, elements: usize) -> Result<()> {
        let count = (elements / moments.mean.elem_count()) as f64;
        let unbiased = (&moments.variance * (count / (count - 1.0)))?;
        for (name, newest) in [("running_mean", &moments.mean), ("running_var", &unbiased)] {
            let running = &self.parameters().get(&format!("{prefix}.{name}"))?.var;
            running.set(&((running.as_detached_tensor() * (1.0 - MOMENTUM))? + (newest * MOMENTUM)?)?)?;
        }
        let tracked = &self.parameters().get(&format!("{prefix}.num_batches_tracked"))?.var;
        tracked.set(&Tensor::new(tracked.to_scalar::<i64>()? + 1, tracked.device())?)
    }
}
