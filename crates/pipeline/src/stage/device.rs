//! The device that a stage has opened, as far as records tell of it.

use serde_json::Value;
use std::collections::BTreeMap;

/// A device that a stage has opened to compute on.
pub trait OpenedDevice: Send {
    /// Its name and model, e.g. `cuda:0 (NVIDIA H100 80GB HBM3)`.
    fn describe(&self) -> String;

    /// Free bytes of a GPU's memory; none for a CPU.
    fn free_memory(&self) -> Option<u64>;

    /// Facts about the computation for the record, outside of the key: peak memory.
    fn telemetry(&self) -> BTreeMap<String, Value>;
}
