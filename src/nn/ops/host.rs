//! How the operations reach the numbers inside a CPU tensor.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Storage, Tensor, WithDType, bail};
use std::marker::PhantomData;
use std::ops::{Deref, Range};

/// A floating-point type that the operations work in: `f32` or `f64`.
pub(crate) trait Element: WithDType + num_traits::Float + num_traits::NumAssign {
    /// Rounds a double to this type.
    fn narrow(value: f64) -> Self;
    /// As a double, exactly.
    fn widen(self) -> f64;
}

impl Element for f32 {
    fn narrow(value: f64) -> Self {
        value as f32
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    fn narrow(value: f64) -> Self {
        value
    }
    fn widen(self) -> f64 {
        self
    }
}

/// Calls a function generic in [`Element`] with the type of `$tensor`, or says which side the operation lacks.
macro_rules! on_host {
    ($operation:literal, $tensor:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $crate::nn::ops::host::supported($operation, $tensor)? {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            _ => $function::<f64>($($argument),*),
        }
    };
}
pub(crate) use on_host;

/// The type of `tensor` if the CPU side of `operation` can work on it.
pub(crate) fn supported(operation: &str, tensor: &Tensor) -> Result<DType> {
    match (tensor.device(), tensor.dtype()) {
        (Device::Cpu, dtype @ (DType::F32 | DType::F64)) => Ok(dtype),
        (Device::Cpu, dtype) => bail!("{operation} works in float32 and float64, not in {dtype:?}"),
        (Device::Cuda(_), _) => bail!("{operation} has no CUDA side yet"),
        (Device::Metal(_), _) => bail!("{operation} has no Metal side"),
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
