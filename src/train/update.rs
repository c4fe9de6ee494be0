//! The arithmetic of the optimisers: element by element, in place, in PyTorch's order of operations.

use crate::nn::ops::vector::vectorized;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, bail};
use num_traits::Float;
use rayon::prelude::*;

/// Elements a task updates.
const CHUNK: usize = 1 << 15;

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

/// A constant in the arithmetic's own precision.
#[inline(always)]
fn real<T: Float>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

trait Binary {
    const NAME: &'static str;
    fn apply<T: Float>(&self, target: T, other: T) -> T;
}

trait Ternary {
    const NAME: &'static str;
    fn apply<T: Float>(&self, target: T, second: T, third: T) -> T;
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

/// The elements that a contiguous layout covers.
fn part<'a, T>(name: &str, values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("{name}: operands lie in one piece"),
    }
}

fn part_mut<'a, T>(name: &str, values: &'a mut [T], layout: &Layout) -> Result<&'a mut [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&mut values[start..end]),
        None => bail!("{name}: operands lie in one piece"),
    }
}

fn same_length(name: &str, lengths: &[usize]) -> Result<()> {
    if lengths.iter().any(|&length| length != lengths[0]) {
        bail!("{name}: operands of {lengths:?} elements");
    }
    Ok(())
}

macro_rules! in_place {
    ($($op:ty: $kind:ident),*) => { $(in_place!(@$kind $op);)* };
    (@binary $op:ty) => {
        impl InplaceOp2 for $op {
            fn name(&self) -> &'static str {
                <$op as Binary>::NAME
            }

            fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
                let name = self.name();
                macro_rules! run {
                    ($a:ident, $b:ident) => {{
                        let (a, b) = (part_mut(name, $a, l1)?, part(name, $b, l2)?);
                        same_length(name, &[a.len(), b.len()])?;
                        a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).for_each(|(a, b)| {
                            vectorized(
                                #[inline(always)]
                                || {
                                    for (a, b) in a.iter_mut().zip(b) {
                                        *a = self.apply(*a, *b);
                                    }
                                },
                            );
                        });
                        Ok(())
                    }};
                }
                match (s1, s2) {
                    (CpuStorage::F32(a), CpuStorage::F32(b)) => run!(a, b),
                    (CpuStorage::F64(a), CpuStorage::F64(b)) => run!(a, b),
                    _ => bail!("{name}: all float32 or all float64"),
                }
            }
        }
    };
    (@ternary $op:ty) => {
        impl InplaceOp3 for $op {
            fn name(&self) -> &'static str {
                <$op as Ternary>::NAME
            }

            fn cpu_fwd(
                &self,
                s1: &mut CpuStorage,
                l1: &Layout,
                s2: &CpuStorage,
                l2: &Layout,
                s3: &CpuStorage,
                l3: &Layout,
            ) -> Result<()> {
                let name = self.name();
                macro_rules! run {
                    ($a:ident, $b:ident, $c:ident) => {{
                        let (a, b, c) = (part_mut(name, $a, l1)?, part(name, $b, l2)?, part(name, $c, l3)?);
                        same_length(name, &[a.len(), b.len(), c.len()])?;
                        let chunks = a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).zip(c.par_chunks(CHUNK));
                        chunks.for_each(|((a, b), c)| {
                            vectorized(
                                #[inline(always)]
                                || {
                                    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                                        *a = self.apply(*a, *b, *c);
                                    }
                                },
                            );
                        });
                        Ok(())
                    }};
                }
                match (s1, s2, s3) {
                    (CpuStorage::F32(a), CpuStorage::F32(b), CpuStorage::F32(c)) => run!(a, b, c),
                    (CpuStorage::F64(a), CpuStorage::F64(b), CpuStorage::F64(c)) => run!(a, b, c),
                    _ => bail!("{name}: all float32 or all float64"),
                }
            }
        }
    };
}

in_place!(SgdUpdate: binary, Decay: ternary, FirstMoment: ternary, SecondMoment: ternary, AdamUpdate: ternary);
