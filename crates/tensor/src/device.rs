//! The devices that networks compute on.

pub use super::out_of_memory::is_out_of_memory;

use super::Precision;
use super::ops::gpu;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A device by the name that users give it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DeviceName {
    /// `cpu`.
    #[default]
    Cpu,
    /// `cuda:N`: an NVIDIA GPU, counted as the driver does.
    Cuda(usize),
    /// `pretended:N`: counts as a GPU where the scheduler assigns them, and computes on the CPU; for tests.
    Pretended(usize),
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceName::Cpu => f.write_str("cpu"),
            DeviceName::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            DeviceName::Pretended(ordinal) => write!(f, "pretended:{ordinal}"),
        }
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.strip_prefix("cuda:").map(str::parse)) {
            ("cpu", _) => Ok(DeviceName::Cpu),
            ("cuda", _) => Ok(DeviceName::Cuda(0)),
            (_, Some(Ok(ordinal))) => Ok(DeviceName::Cuda(ordinal)),
            (text, None) if text.starts_with("pretended:") => {
                let ordinal = text.split_once(':').and_then(|(_, ordinal)| ordinal.parse().ok());
                ordinal.map(DeviceName::Pretended).ok_or_else(|| "expected pretended:N".to_owned())
            }
            _ => Err("expected cpu, cuda or cuda:N".to_owned()),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

/// Number of GPUs that this program can use.
///
/// # Errors
/// Why it can use none, in a sentence.
#[cfg(feature = "cuda")]
pub fn gpus() -> std::result::Result<usize, String> {
    match gpu::driver::count() {
        Ok(0) => Err("the NVIDIA driver finds no GPU".to_owned()),
        counted => counted,
    }
}

/// Number of GPUs that this program can use.
///
/// # Errors
/// Why it can use none, in a sentence.
#[cfg(not(feature = "cuda"))]
pub fn gpus() -> std::result::Result<usize, String> {
    Err("this build has no CUDA in it (README: \"On a GPU\")".to_owned())
}

/// A UUID of 16 bytes as nvidia-smi writes a GPU's.
#[cfg(any(feature = "cuda", test))]
fn uuid_text(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("GPU-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A device in use.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    device: Device,
}

impl DeviceName {
    /// With its model, e.g. `cuda:0 (NVIDIA H100 80GB HBM3)`, without opening it.
    pub fn with_model(self) -> String {
        match self {
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(ordinal) => match gpu::driver::name(ordinal) {
                Ok(model) => format!("{self} ({model})"),
                Err(_) => self.to_string(),
            },
            _ => self.to_string(),
        }
    }

    /// What names the device for all processes of this machine: of a GPU its UUID, as nvidia-smi writes it
    /// (`GPU-6d5e9a3c-…`); else, or if the driver does not say, the name. A GPU's number is not enough: it counts within
    /// `CUDA_VISIBLE_DEVICES`, which another process may have otherwise.
    pub fn identity(self) -> String {
        match self {
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(ordinal) => gpu::driver::uuid(ordinal).map_or_else(|_| self.to_string(), uuid_text),
            _ => self.to_string(),
        }
    }

    /// Opens the device for this process, to compute with `precision` and, if `deterministic`, to the same bits each
    /// time.
    ///
    /// # Errors
    /// Why that cannot be, in a sentence with the cure.
    pub fn open(self, precision: Precision, deterministic: bool) -> std::result::Result<OpenDevice, String> {
        gpu::set_arithmetic(precision == Precision::Tf32, deterministic);
        match self {
            DeviceName::Cpu | DeviceName::Pretended(_) if precision.needs_gpu() => Err(format!(
                "`precision = \"{}\"` needs a GPU, and this runs on the CPU; say \"float32\", or give `--device cuda`",
                precision.name()
            )),
            DeviceName::Cpu | DeviceName::Pretended(_) => Ok(OpenDevice { device: Device::Cpu }),
            #[cfg(feature = "cuda")]
            DeviceName::Cuda(ordinal) => match gpu::driver::open(ordinal) {
                Ok(device) => Ok(OpenDevice { device }),
                Err(error) => {
                    // What follows the first line is candle's backtrace.
                    let error = error.to_string();
                    Err(format!("{self} cannot be used: {}", error.lines().next().unwrap_or_default()))
                }
            },
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda(_) => Err(format!("{self} cannot be used: {}", gpus().err().unwrap_or_default())),
        }
    }
}

impl OpenDevice {
    /// As candle knows it.
    pub fn candle(&self) -> &Device {
        &self.device
    }

    /// What it is, for records: `cpu`, or a GPU's name, capability and driver.
    pub fn describe(&self) -> String {
        match &self.device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => gpu::driver::describe(device).unwrap_or_else(|error| format!("cuda ({error})")),
            _ => "cpu".to_owned(),
        }
    }

    /// Free bytes of a GPU's memory; none for a CPU.
    pub fn free_memory(&self) -> Option<u64> {
        match &self.device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => gpu::driver::memory(device).ok().map(|(free, _)| free),
            _ => None,
        }
    }

    /// What CUDA's libraries refused in this process and other code did instead, perhaps more slowly.
    pub fn refusals(&self) -> Vec<String> {
        gpu::refusals()
    }

    /// The most bytes of a GPU's memory that this process's tensors took; none for a CPU.
    pub fn peak_memory(&self) -> Option<u64> {
        match &self.device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => gpu::driver::peak_memory(device).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, name) in [("cpu", DeviceName::Cpu), ("cuda:3", DeviceName::Cuda(3))] {
            assert_eq!((text.parse(), name.to_string()), (Ok(name), text.to_owned()));
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        assert!(["", "gpu", "cuda:", "cuda:x"].iter().all(|text| text.parse::<DeviceName>().is_err()));
    }

    #[test]
    fn devices_without_a_uuid_are_known_by_their_names() {
        for name in [DeviceName::Cpu, DeviceName::Pretended(2)] {
            assert_eq!(name.identity(), name.to_string());
        }
    }

    #[test]
    fn uuids_are_written_as_nvidia_smi_does() {
        let bytes = [0x6d, 0x5e, 0x9a, 0x3c, 0x1f, 0x0b, 0x4c, 0x8e, 0x9d, 0x55, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0xff];
        assert_eq!(uuid_text(bytes), "GPU-6d5e9a3c-1f0b-4c8e-9d55-0a1b2c3d4eff");
    }

    #[test]
    fn a_cpu_refuses_what_only_gpus_do() {
        assert_eq!(DeviceName::Cpu.open(Precision::Float32, true).unwrap().describe(), "cpu");
        let error = DeviceName::Cpu.open(Precision::Bf16, true).unwrap_err();
        assert!(error.starts_with("`precision = \"bf16\"` needs a GPU"), "{error}");
    }
}
