//! The arithmetic of the optimisers: element by element, in place, in PyTorch's order of operations.

use crate::nn::ops::in_place::{Binary, Ternary, real};
use num_traits::Float;

/// velocity ← keep·velocity + (gradient + weight_decay·value). From zero, the first step is the gradient itself.
pub(super) struct Decay {
    pub(super) keep: f64,
    pub(super) weight_decay: f64,
}

/// value ← value − learning_rate·velocity.
pub(super) struct SgdUpdate {
    pub(super) learning_rate: f64,
}

/// m ← m + (1 − β)·((gradient + weight_decay·value) − m), PyTorch's `lerp_`.
pub(super) struct FirstMoment {
    pub(super) beta: f64,
    pub(super) weight_decay: f64,
}

/// v ← β·v + (1 − β)·(gradient + weight_decay·value)².
pub(super) struct SecondMoment {
    pub(super) beta: f64,
    pub(super) weight_decay: f64,
}

/// value ← value − step_size·m / (√v / root_of_correction + ε).
pub(super) struct AdamUpdate {
    pub(super) step_size: f64,
    pub(super) root_of_correction: f64,
    pub(super) epsilon: f64,
}

impl Binary for SgdUpdate {
    const NAME: &'static str = "sgd-update";
    #[inline(always)]
    fn apply<T: Float>(&self, value: T, velocity: T) -> T {
        value - real::<T>(self.learning_rate) * velocity
    }
}

impl Ternary for Decay {
    const NAME: &'static str = "sgd-momentum";
    #[inline(always)]
    fn apply<T: Float>(&self, velocity: T, gradient: T, value: T) -> T {
        velocity * real(self.keep) + (gradient + real::<T>(self.weight_decay) * value)
    }
}

impl Ternary for FirstMoment {
    const NAME: &'static str = "adam-first-moment";
    #[inline(always)]
    fn apply<T: Float>(&self, moment: T, gradient: T, value: T) -> T {
        let gradient = gradient + real::<T>(self.weight_decay) * value;
        moment + real::<T>(1.0 - self.beta) * (gradient - moment)
    }
}

impl Ternary for SecondMoment {
    const NAME: &'static str = "adam-second-moment";
    #[inline(always)]
    fn apply<T: Float>(&self, moment: T, gradient: T, value: T) -> T {
        let gradient = gradient + real::<T>(self.weight_decay) * value;
        moment * real(self.beta) + real::<T>(1.0 - self.beta) * gradient * gradient
    }
}

impl Ternary for AdamUpdate {
    const NAME: &'static str = "adam-update";
    #[inline(always)]
    fn apply<T: Float>(&self, value: T, first: T, second: T) -> T {
        let root = second.sqrt() / real(self.root_of_correction) + real(self.epsilon);
        value - real::<T>(self.step_size) * (first / root)
    }
}
