//! Arithmetic element by element that writes into one of its operands, on the CPU.
//!
//! An operation computes one element. [`InPlace`] makes it an operation of candle's: float32 and float64, vectorised, on all
//! threads. On a GPU one kernel does many tensors instead ([`Table`](super::gpu::Table)).

use super::vector::vectorized;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, bail};
use num_traits::Float;
use rayon::prelude::*;

/// Elements a task updates.
const CHUNK: usize = 1 << 15;

/// A constant in the arithmetic's own precision.
#[inline(always)]
pub fn real<T: Float>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

/// The new value of an element, from itself and that of another tensor.
pub trait Binary: Sync {
    /// The operation's name in messages.
    const NAME: &'static str;
    /// The new value of `target`.
    fn apply<T: Float>(&self, target: T, other: T) -> T;
}

/// The new value of an element, from itself and those of two other tensors.
pub trait Ternary: Sync {
    /// The operation's name in messages.
    const NAME: &'static str;
    /// The new value of `target`.
    fn apply<T: Float>(&self, target: T, second: T, third: T) -> T;
}

/// An operation as candle takes it: `target.inplace_op2(&other, &InPlace(operation))`. All operands are contiguous, of
/// as many elements, and of one type.
pub struct InPlace<O>(pub O);

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

impl<O: Binary> InplaceOp2 for InPlace<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        macro_rules! run {
            ($a:ident, $b:ident) => {{
                let (a, b) = (part_mut(O::NAME, $a, l1)?, part(O::NAME, $b, l2)?);
                same_length(O::NAME, &[a.len(), b.len()])?;
                a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).for_each(|(a, b)| {
                    vectorized(
                        #[inline(always)]
                        || {
                            for (a, b) in a.iter_mut().zip(b) {
                                *a = self.0.apply(*a, *b);
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
            _ => bail!("{}: all float32 or all float64", O::NAME),
        }
    }
}

impl<O: Ternary> InplaceOp3 for InPlace<O> {
    fn name(&self) -> &'static str {
        O::NAME
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
        macro_rules! run {
            ($a:ident, $b:ident, $c:ident) => {{
                let (a, b, c) = (part_mut(O::NAME, $a, l1)?, part(O::NAME, $b, l2)?, part(O::NAME, $c, l3)?);
                same_length(O::NAME, &[a.len(), b.len(), c.len()])?;
                let chunks = a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).zip(c.par_chunks(CHUNK));
                chunks.for_each(|((a, b), c)| {
                    vectorized(
                        #[inline(always)]
                        || {
                            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                                *a = self.0.apply(*a, *b, *c);
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
            _ => bail!("{}: all float32 or all float64", O::NAME),
        }
    }
}
