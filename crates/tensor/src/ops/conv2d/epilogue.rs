//! Bias, residual and ReLU, applied to a convolution's output while it is in the cache.

use crate::ops::host::Element;

/// Adds a bias to each channel and a residual to each element, then a ReLU.
pub(super) struct Epilogue<'a, T> {
    /// `[channels]`.
    pub(super) bias: Option<&'a [T]>,
    /// As many elements as the output has.
    pub(super) residual: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T: Element> Epilogue<'_, T> {
    /// Nothing.
    pub(super) const NONE: Self = Epilogue { bias: None, residual: None, relu: false };

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.bias.is_none() && self.residual.is_none() && !self.relu
    }

    /// Finishes some channels of one pixel, the first of which is element `at` of the output and `channel` of its
    /// pixel.
    #[inline(always)]
    pub(super) fn apply(&self, values: &mut [T], at: usize, channel: usize) {
        let length = values.len();
        if let Some(bias) = self.bias {
            values.iter_mut().zip(&bias[channel..channel + length]).for_each(|(value, bias)| *value += *bias);
        }
        if let Some(residual) = self.residual {
            values.iter_mut().zip(&residual[at..at + length]).for_each(|(value, residual)| *value += *residual);
        }
        if self.relu {
            // A comparison, not `max`: NaN goes through.
            values.iter_mut().filter(|value| **value < T::zero()).for_each(|value| *value = T::zero());
        }
    }
}
