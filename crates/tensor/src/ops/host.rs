//! Access to the elements of CPU tensors, and buffers.

use super::transpose::Transpose;
use super::vector::Vectors;
use candle_core::{CpuStorage, DType, Device, Layout, Result, Storage, Tensor, WithDType, bail};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, Range};

/// A floating-point type that the operations work in: `f32` or `f64`.
pub(crate) trait Element: WithDType + num_traits::Float + num_traits::NumAssign + Vectors + Transpose {
    /// Rounds a double to this type.
    fn narrow(value: f64) -> Self;
    /// As a double, exactly.
    fn widen(self) -> f64;
    /// The buffers of this thread that may be used again.
    fn spare<R>(use_them: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R;
}

macro_rules! element {
    ($($type:ty),*) => {$(
        impl Element for $type {
            fn narrow(value: f64) -> Self {
                value as $type
            }
            fn widen(self) -> f64 {
                f64::from(self)
            }
            fn spare<R>(use_them: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R {
                thread_local!(static SPARE: RefCell<Vec<Vec<$type>>> = const { RefCell::new(Vec::new()) });
                SPARE.with_borrow_mut(use_them)
            }
        }
    )*};
}
element!(f32, f64);

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Calls `work` with a buffer of `length` elements that begins on a cache line. Its content is arbitrary: the thread reuses its
/// buffers.
pub(crate) fn with_scratch<T: Element, R>(length: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    let mut buffer = T::spare(Vec::pop).unwrap_or_default();
    let whole = length + LINE / size_of::<T>();
    if buffer.len() < whole {
        buffer.resize(whole, T::zero());
    }
    let first = buffer.as_ptr().align_offset(LINE).min(whole - length);
    let result = work(&mut buffer[first..first + length]);
    T::spare(|spare| spare.push(buffer));
    result
}

/// A vector of `length` elements. `fill` should write every one: before, they are arbitrary numbers, in the tests of this crate
/// NaN. They are not cleared, because that would take as long as most operations.
pub(crate) fn filled<T: Element>(length: usize, fill: impl FnOnce(&mut [T])) -> Vec<T> {
    let mut elements = arbitrary(length);
    if cfg!(test) {
        elements.fill(T::nan());
    }
    fill(&mut elements);
    elements
}

/// A vector of `length` arbitrary elements: the old content of its memory.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn arbitrary<T: Element>(length: usize) -> Vec<T> {
    let mut elements = Vec::<T>::with_capacity(length);
    // For the compiler this assembly may write the `length` elements, so they are initialised: reading one gives some number.
    // It is empty, so the processor does nothing and the elements are the memory's old bytes.
    // SAFETY: it touches neither stack, flags nor registers, and no memory but the vector's own.
    unsafe { std::arch::asm!("/* {0} */", in(reg) elements.as_mut_ptr(), options(nostack, preserves_flags)) };
    // SAFETY: the capacity is there, the elements are initialised, and any bits are an f32 or f64 (`Element` is no other).
    unsafe { elements.set_len(length) };
    elements
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn arbitrary<T: Element>(length: usize) -> Vec<T> {
    vec![T::zero(); length]
}

/// Calls a function generic in [`Element`] with the type of `$tensor`, or fails if that is not supported.
macro_rules! on_host {
    ($operation:literal, $tensor:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $crate::ops::host::supported($operation, $tensor)? {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            _ => $function::<f64>($($argument),*),
        }
    };
}
pub(crate) use on_host;

/// As [`on_host`], for an operation that has no GPU side: a tensor on a GPU is refused.
macro_rules! on_cpu_only {
    ($operation:literal, $tensor:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        $crate::ops::gpu::no_side($operation, $tensor)?;
        $crate::ops::host::on_host!($operation, $tensor, $function($($argument),*))
    }};
}
pub(crate) use on_cpu_only;

/// The type of `tensor` if the CPU side of `operation` can work on it.
pub(crate) fn supported(operation: &str, tensor: &Tensor) -> Result<DType> {
    match (tensor.device(), tensor.dtype()) {
        (Device::Cpu, dtype @ (DType::F32 | DType::F64)) => Ok(dtype),
        (Device::Cpu, dtype) => bail!("{operation} works in float32 and float64, not in {dtype:?}"),
        (other, _) => bail!("{operation} has no side for {:?}", other.location()),
    }
}

/// Read access to the elements of a contiguous CPU tensor; `G` is candle's guard of its storage.
struct Elements<G, T> {
    storage: G,
    range: Range<usize>,
    element: PhantomData<T>,
}

impl<G: Deref<Target = Storage>, T: WithDType> Deref for Elements<G, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        slice(&self.storage, &self.range).unwrap_or(&[])
    }
}

/// The elements of `tensor`, which must be contiguous, on the CPU and of type `T`.
pub(crate) fn elements<T: WithDType>(tensor: &Tensor) -> Result<impl Deref<Target = [T]> + '_> {
    let (storage, layout) = tensor.storage_and_layout();
    let range = range(layout)?;
    if slice::<T>(&storage, &range).is_none() {
        bail!("expected {:?} on the CPU, found {:?} on {:?}", T::DTYPE, tensor.dtype(), tensor.device().location());
    }
    Ok(Elements { storage, range, element: PhantomData })
}

fn range(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("expected a contiguous tensor, found {layout:?}"),
    }
}

fn slice<'s, T: WithDType>(storage: &'s Storage, range: &Range<usize>) -> Option<&'s [T]> {
    match storage {
        Storage::Cpu(storage) => cpu_slice::<T>(storage)?.get(range.clone()),
        _ => None,
    }
}

fn cpu_slice<T: WithDType>(storage: &CpuStorage) -> Option<&[T]> {
    storage.as_slice::<T>().ok()
}

/// A CPU tensor from its elements.
pub(crate) fn tensor<T: WithDType>(elements: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Tensor::from_vec(elements, shape, &Device::Cpu)
}
