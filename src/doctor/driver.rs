//! Checks libraries, the device and the loading of kernels.

use super::step::{Say, open};
use crate::nn::ops::gpu::probe;
use crate::nn::{DeviceName, OpenDevice, Precision};
use anyhow::{Error, Result, ensure};
use candle_core::{Device, Tensor};

/// Opens each library and reports its file, or the error of the dynamic linker.
pub(super) fn libraries(_: DeviceName, say: Say<'_>) -> Result<String> {
    let libraries = probe::libraries();
    ensure!(!libraries.is_empty(), "{}", crate::nn::device::gpus().err().unwrap_or_default());
    for library in libraries {
        match &library.found {
            Ok(path) => say(&format!("{}: {path}", library.file)),
            Err(why) => say(&format!("{}: {why}", library.file)),
        }
        if !library.lacking.is_empty() {
            say(&format!("  {} functions are missing: {}", library.lacking.len(), library.lacking.join(", ")));
        }
    }
    let gpus = crate::nn::device::gpus().map_err(Error::msg)?;
    Ok(format!("{} libraries, {gpus} GPU{}", libraries.len(), if gpus == 1 { "" } else { "s" }))
}

/// Opens the device, and copies a number to it and back.
pub(super) fn context(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = OpenDevice::open(name, Precision::Float32, true).map_err(Error::msg)?;
    let described = device.describe();
    say(&described);
    if let Some(free) = device.free_memory() {
        say(&format!("{} MiB of free memory", free >> 20));
    }
    let sent = Tensor::new(&[0.1f32], &Device::Cpu)?.to_device(device.candle())?;
    device.candle().synchronize()?;
    let back = sent.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
    ensure!(back == [0.1], "0.1 was sent, and {back:?} came back");
    if let Some(peak) = device.peak_memory() {
        ensure!(peak >= 4, "the memory pool reports a peak of {peak} bytes while 4 bytes are in use");
    }
    Ok(described)
}

/// Loads all kernels and finds each by name.
pub(super) fn kernels(name: DeviceName, say: Say<'_>) -> Result<String> {
    let names = probe::kernels(&open(name, Precision::Float32)?)?;
    say(&names.join(" "));
    Ok(format!("{} kernels", names.len()))
}
