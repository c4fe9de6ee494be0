//! The device that a stage has opened, as records describe it.

use serde_json::Value;
use std::collections::BTreeMap;

/// A device that a stage has opened to compute on.
pub trait OpenedDevice: Send {
    /// Its name and model, e.g. `cuda:0 (NVIDIA H100 80GB HBM3)`.
    fn describe(&self) -> String;

    /// Free GPU memory in bytes; `None` for a CPU.
    fn free_memory(&self) -> Option<u64>;

    /// Facts about the computation for the record, outside the key: peak memory.
    fn telemetry(&self) -> BTreeMap<String, Value>;
}
