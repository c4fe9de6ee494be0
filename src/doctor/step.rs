//! A step of the checks.

use crate::nn::{DeviceName, OpenDevice, Precision};
use anyhow::{Error, Result};
use candle_core::Device;

/// Reports the observations of a step, line by line.
pub(super) type Say<'s> = &'s mut dyn FnMut(&str);

/// One check.
pub struct Step {
    /// Its name on the command line.
    pub name: &'static str,
    /// Short description of the check.
    pub what: &'static str,
    /// Time limit in seconds.
    pub seconds: u64,
    /// Whether it needs a GPU. On a CPU there is nothing to check.
    pub needs_gpu: bool,
    /// Whether a failure makes all later steps useless.
    pub is_vital: bool,
    /// Whether it detects errors of synchronisation, which waiting for each launch would hide.
    pub is_asynchronous: bool,
    check: fn(DeviceName, Say<'_>) -> Result<String>,
}

impl Step {
    pub(super) const fn new(
        name: &'static str,
        what: &'static str,
        seconds: u64,
        check: fn(DeviceName, Say<'_>) -> Result<String>,
    ) -> Self {
        Step { name, what, seconds, needs_gpu: false, is_vital: false, is_asynchronous: false, check }
    }

    pub(super) const fn of_gpus(self) -> Self {
        Step { needs_gpu: true, ..self }
    }

    pub(super) const fn asynchronous(self) -> Self {
        Step { is_asynchronous: true, ..self }
    }

    pub(super) const fn vital(self) -> Self {
        Step { is_vital: true, ..self }
    }

    /// Runs the step on `device` and reports observations to `say`. Returns the result in one line.
    ///
    /// # Errors
    /// The faults.
    pub fn check(&self, device: DeviceName, say: &mut dyn FnMut(&str)) -> Result<String> {
        (self.check)(device, say)
    }
}

/// Opens a device for a step.
pub(super) fn open(device: DeviceName, precision: Precision) -> Result<Device> {
    Ok(OpenDevice::open(device, precision, true).map_err(Error::msg)?.candle().clone())
}
