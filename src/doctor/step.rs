//! The steps, in their order.

use super::{batches, candle, convolutions, driver, launch, networks, operations, plans};
use crate::nn::{DeviceName, OpenDevice, Precision};
use anyhow::{Error, Result};
use candle_core::Device;

/// Tells what a step sees, a line at a time.
pub(super) type Say<'s> = &'s mut dyn FnMut(&str);

/// One check.
pub struct Step {
    /// As the command line names it.
    pub name: &'static str,
    /// What is checked, in a few words.
    pub what: &'static str,
    /// It is stopped after so many seconds.
    pub seconds: u64,
    /// Whether a CPU has nothing to be checked here.
    pub needs_gpu: bool,
    /// Whether a failure makes all later steps pointless.
    pub is_vital: bool,
    /// Whether it looks for faults of order, which waiting for each launch would hide.
    pub is_asynchronous: bool,
    check: fn(DeviceName, Say<'_>) -> Result<String>,
}

impl Step {
    const fn new(
        name: &'static str,
        what: &'static str,
        seconds: u64,
        check: fn(DeviceName, Say<'_>) -> Result<String>,
    ) -> Self {
        Step { name, what, seconds, needs_gpu: false, is_vital: false, is_asynchronous: false, check }
    }

    const fn of_gpus(self) -> Self {
        Step { needs_gpu: true, ..self }
    }

    const fn asynchronous(self) -> Self {
        Step { is_asynchronous: true, ..self }
    }

    const fn vital(self) -> Self {
        Step { is_vital: true, ..self }
    }

    /// Does it on `device`, telling `say` what is seen on the way; the last word is what it comes to.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, device: DeviceName, say: &mut dyn FnMut(&str)) -> Result<String> {
        (self.check)(device, say)
    }
}

/// All steps, from the smallest to the largest. Their limits add up to less than 5 minutes.
pub const STEPS: &[Step] = &[
    Step::new("libraries", "CUDA's libraries", 20, driver::libraries).of_gpus().vital(),
    Step::new("context", "a context, the memory pool, 4 bytes there and back", 30, driver::context).of_gpus().vital(),
    Step::new("kernels", "all kernels loaded and found", 30, driver::kernels).of_gpus(),
    Step::new("launch", "one kernel on 1, 257 and 2²⁰+3 elements", 15, launch::check),
    Step::new("operations", "every kernel against the CPU", 30, operations::check),
    Step::new("batches", "page-locked buffers, and pixels normalised to the bit", 15, batches::check).asynchronous(),
    Step::new("candle", "candle's own casts, sums and matrix products", 20, candle::check),
    Step::new("convolutions", "cuDNN's convolutions against our own kernels", 45, convolutions::check),
    Step::new("resnet", "a step of a ResNet-18 against the CPU, twice", 20, networks::resnet).asynchronous(),
    Step::new("unet++", "a step of a U-Net++ against the CPU, twice", 20, networks::unet_plus_plus).asynchronous(),
    Step::new("plans", "cuDNN's algorithms for every convolution of the networks", 30, plans::check),
];

/// The step of that name.
pub fn step(name: &str) -> Option<&'static Step> {
    STEPS.iter().find(|step| step.name == name)
}

/// Opens a device for a step.
pub(super) fn open(device: DeviceName, precision: Precision) -> Result<Device> {
    Ok(OpenDevice::open(device, precision, true).map_err(Error::msg)?.candle().clone())
}
