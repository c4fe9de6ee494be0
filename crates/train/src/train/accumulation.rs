//! The sum of the gradients of several steps, for one update.

use super::norm::gradient_norm;
use anyhow::Result;
use matssl_tensor::Gradients;

/// Sums of the gradients since the last update.
#[derive(Default)]
pub(super) struct Accumulation {
    sums: Gradients,
    steps: u64,
}

impl Accumulation {
    /// Adds a step's gradients.
    ///
    /// # Errors
    /// If a gradient has another shape or type than before.
    pub(super) fn add(&mut self, gradients: Gradients) -> Result<()> {
        if self.steps == 0 {
            self.sums = gradients;
        } else {
            gradients.iter().try_for_each(|(name, gradient)| self.sums.add(name, gradient.clone()))?;
        }
        self.steps += 1;
        Ok(())
    }

    /// Number of steps added.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The sums of the gradients: the mean is this divided by [`Accumulation::steps`].
    pub(super) fn sums(&self) -> &Gradients {
        &self.sums
    }

    /// The norm of the mean gradient over all parameters.
    ///
    /// # Errors
    /// If gradients are neither float32 nor float64.
    pub(super) fn mean_norm(&self) -> Result<f64> {
        Ok(gradient_norm(&self.sums)? / self.steps as f64)
    }
}
