//! The devices that networks compute on.

pub use super::out_of_memory::is_out_of_memory;

use super::Precision;
use super::ops::gpu;
use candle_core::Device;
use matssl_base::device_name::DeviceName;

/// Number of GPUs that this program can use.
///
/// # Errors
/// Why it can use none, in a sentence.
#[cfg(feature = "cuda")]
pub fn gpus() -> Result<usize, String> {
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
pub fn gpus() -> Result<usize, String> {
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

/// With its model, e.g. `cuda:0 (NVIDIA H100 80GB HBM3)`, without opening it.
pub fn with_model(name: DeviceName) -> String {
    match name {
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(ordinal) => match gpu::driver::name(ordinal) {
            Ok(model) => format!("{name} ({model})"),
            Err(_) => name.to_string(),
        },
        _ => name.to_string(),
    }
}

/// What names the device for all processes of this machine: of a GPU its UUID, as nvidia-smi writes it
/// (`GPU-6d5e9a3c-…`); else, or if the driver does not say, the name. A GPU's number is not enough: it counts within
/// `CUDA_VISIBLE_DEVICES`, which another process may have otherwise.
pub fn identity(name: DeviceName) -> String {
    match name {
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(ordinal) => gpu::driver::uuid(ordinal).map_or_else(|_| name.to_string(), uuid_text),
        _ => name.to_string(),
    }
}

impl OpenDevice {
    /// Opens the device for this process, to compute with `precision` and, if `deterministic`, to the same bits each
    /// time.
    ///
    /// # Errors
    /// Why that cannot be, in a sentence with the cure.
    pub fn open(name: DeviceName, precision: Precision, deterministic: bool) -> Result<Self, String> {
        gpu::set_arithmetic(precision == Precision::Tf32, deterministic);
        match name {
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
                    Err(format!("{name} cannot be used: {}", error.lines().next().unwrap_or_default()))
                }
            },
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda(_) => Err(format!("{name} cannot be used: {}", gpus().err().unwrap_or_default())),
        }
    }

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
    fn devices_without_a_uuid_are_known_by_their_names() {
        for name in [DeviceName::Cpu, DeviceName::Pretended(2)] {
            assert_eq!(identity(name), name.to_string());
        }
    }

    #[test]
    fn uuids_are_written_as_nvidia_smi_does() {
        let bytes = [0x6d, 0x5e, 0x9a, 0x3c, 0x1f, 0x0b, 0x4c, 0x8e, 0x9d, 0x55, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0xff];
        assert_eq!(uuid_text(bytes), "GPU-6d5e9a3c-1f0b-4c8e-9d55-0a1b2c3d4eff");
    }

    #[test]
    fn a_cpu_refuses_what_only_gpus_do() {
        assert_eq!(OpenDevice::open(DeviceName::Cpu, Precision::Float32, true).unwrap().describe(), "cpu");
        let error = OpenDevice::open(DeviceName::Cpu, Precision::Bf16, true).unwrap_err();
        assert!(error.starts_with("`precision = \"bf16\"` needs a GPU"), "{error}");
    }
}
