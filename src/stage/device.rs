//! Opens the device that a run assigned to a stage.

use super::{Context, StageError};
use crate::nn::{OpenDevice, Precision};
use candle_core::Device;
use matssl_pipeline::stage::OpenedDevice;
use serde_json::Value;
use std::collections::BTreeMap;

struct Opened(OpenDevice);

impl OpenedDevice for Opened {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn free_memory(&self) -> Option<u64> {
        self.0.free_memory()
    }

    fn telemetry(&self) -> BTreeMap<String, Value> {
        let mut facts = BTreeMap::new();
        if let Some(peak) = self.0.peak_memory() {
            facts.insert("peak_gpu_memory_mib".into(), peak.div_ceil(1 << 20).into());
        }
        let refusals = self.0.refusals();
        if !refusals.is_empty() {
            facts.insert("gpu_refusals".into(), refusals.into());
        }
        facts
    }
}

/// Opens the device of `context` with `precision`. With `deterministic`, results are bit-identical each time.
///
/// # Errors
/// [`StageError::NotThere`] if it is missing or does not support `precision`.
pub(super) fn open_device(
    context: &mut Context,
    precision: Precision,
    deterministic: bool,
) -> Result<Device, StageError> {
    let device = OpenDevice::open(context.device, precision, deterministic).map_err(StageError::NotThere)?;
    let candle = device.candle().clone();
    context.opened = Some(Box::new(Opened(device)));
    Ok(candle)
}
