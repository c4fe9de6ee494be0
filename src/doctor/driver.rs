//! What lies below the operations: libraries, the device, kernels.

use super::step::{Say, open};
use crate::nn::ops::gpu::probe;
use crate::nn::{DeviceName, OpenDevice, Precision};
use anyhow::{Error, Result, ensure};
use candle_core::{Device, Tensor};

/// Opens each library and says which file that was, or what the dynamic linker said.
pub(super) fn libraries(_: DeviceName, say: Say<'_>) -> Result<String> {
    let libraries = probe::libraries();
    ensure!(!libraries.is_empty(), "{}", crate::nn::device::gpus().err().unwrap_or_default());
    for library in libraries {
        match &library.found {
            Ok(path) => say(&format!("{}: {path}", library.file)),
            Err(why) => say(&format!("{}: {why}", library.file)),
        }
        if !library.lacking.is_empty() {
            say(&format!("  lacks {} functions: {}", library.lacking.len(), library.lacking.join(", ")));
        }
    }
    let gpus = crate::nn::device::gpus().map_err(Error::msg)?;
    Ok(format!("{} libraries, {gpus} GPU{}", libraries.len(), if gpus == 1 { "" } else { "s" }))
}

/// Opens the device, and sends a number there and back.
pub(super) fn context(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = OpenDevice::open(name, Precision::Float32, true).map_err(Error::msg)?;
    let described = device.describe();
    say(&described);
    if let Some(free) = device.free_memory() {
        say(&format!("{} MiB of memory are free", free >> 20));
    }
    let sent = Tensor::new(&[0.1f32], &Device::Cpu)?.to_device(device.candle())?;
    device.candle().synchronize()?;
    let back = sent.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
    ensure!(back == [0.1], "0.1 was sent, and {back:?} came back");
    if let Some(peak) = device.peak_memory() {
        ensure!(peak >= 4, "the pool says that {peak} bytes were used at most, with 4 in use");
    }
    Ok(described)
}

/// Loads the kernels and looks each up.
pub(super) fn kernels(name: DeviceName, say: Say<'_>) -> Result<String> {
    let names = probe::kernels(&open(name, Precision::Float32)?)?;
    say(&names.join(" "));
    Ok(format!("{} kernels", names.len()))
}
