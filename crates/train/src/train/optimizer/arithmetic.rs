//! The arithmetic of the optimisers: element by element, in place, in PyTorch's order of operations.

use matssl_tensor::ops::in_place::{Binary, Ternary, real};
use num_traits::Float;

/// A gradient as an optimiser uses it: rate·(scale·gradient + weight_decay·value).
#[derive(Clone, Copy)]
pub(super) struct Penalized {
    /// Factor of clipping and of the mean over accumulated gradients.
    pub(super) scale: f64,
    pub(super) weight_decay: f64,
    /// Adapted rate of LARS, else 1.
    pub(super) rate: f64,
}

impl Penalized {
    #[inline(always)]
    fn of<T: Float>(&self, gradient: T, value: T) -> T {
        real::<T>(self.rate) * (real::<T>(self.scale) * gradient + real::<T>(self.weight_decay) * value)
    }
}

/// velocity ← keep·velocity + gradient. From zero, the first step is the gradient itself.
pub(super) struct Velocity {
    pub(super) keep: f64,
    pub(super) penalized: Penalized,
}

/// value ← value − learning_rate·velocity.
pub(super) struct SgdUpdate {
    pub(super) learning_rate: f64,
}

/// value ← value − learning_rate·(gradient + momentum·velocity).
pub(super) struct NesterovUpdate {
    pub(super) learning_rate: f64,
    pub(super) momentum: f64,
    pub(super) penalized: Penalized,
}

/// m ← m + (1 − β)·(gradient − m), PyTorch's `lerp_`.
pub(super) struct FirstMoment {
    pub(super) beta: f64,
    pub(super) penalized: Penalized,
}

/// v ← β·v + (1 − β)·gradient².
pub(super) struct SecondMoment {
    pub(super) beta: f64,
    pub(super) penalized: Penalized,
}

/// value ← shrink·value − step_size·m / (√v / root_of_correction + ε).
pub(super) struct AdamUpdate {
    /// Factor of decoupled weight decay, else 1.
    pub(super) shrink: f64,
    pub(super) step_size: f64,
    pub(super) root_of_correction: f64,
    pub(super) epsilon: f64,
}

impl Ternary for Velocity {
    const NAME: &'static str = "sgd-momentum";
    #[inline(always)]
    fn apply<T: Float>(&self, velocity: T, gradient: T, value: T) -> T {
        velocity * real(self.keep) + self.penalized.of(gradient, value)
    }
}

impl Binary for SgdUpdate {
    const NAME: &'static str = "sgd-update";
    #[inline(always)]
    fn apply<T: Float>(&self, value: T, velocity: T) -> T {
        value - real::<T>(self.learning_rate) * velocity
    }
}

impl Ternary for NesterovUpdate {
    const NAME: &'static str = "nesterov-update";
    #[inline(always)]
    fn apply<T: Float>(&self, value: T, gradient: T, velocity: T) -> T {
        let ahead = self.penalized.of(gradient, value) + real::<T>(self.momentum) * velocity;
        value - real::<T>(self.learning_rate) * ahead
    }
}

impl Ternary for FirstMoment {
    const NAME: &'static str = "adam-first-moment";
    #[inline(always)]
    fn apply<T: Float>(&self, moment: T, gradient: T, value: T) -> T {
        moment + real::<T>(1.0 - self.beta) * (self.penalized.of(gradient, value) - moment)
    }
}

impl Ternary for SecondMoment {
    const NAME: &'static str = "adam-second-moment";
    #[inline(always)]
    fn apply<T: Float>(&self, moment: T, gradient: T, value: T) -> T {
        let gradient = self.penalized.of(gradient, value);
        moment * real(self.beta) + real::<T>(1.0 - self.beta) * gradient * gradient
    }
}

impl Ternary for AdamUpdate {
    const NAME: &'static str = "adam-update";
    #[inline(always)]
    fn apply<T: Float>(&self, value: T, first: T, second: T) -> T {
        let root = second.sqrt() / real(self.root_of_correction) + real(self.epsilon);
        value * real(self.shrink) - real::<T>(self.step_size) * (first / root)
    }
}

/// LARS's rate and weight decay for one tensor, from the norms of its value and its gradient. If one of them is 0,
/// lightly neither adapts the rate nor decays.
pub(super) fn lars_rate(
    [value, gradient]: [f64; 2],
    weight_decay: f64,
    trust_coefficient: f64,
    epsilon: f64,
) -> [f64; 2] {
    if weight_decay == 0.0 || value == 0.0 || gradient == 0.0 {
        return [1.0, 0.0];
    }
    [value / (gradient + value * weight_decay + epsilon) * trust_coefficient, weight_decay]
}
