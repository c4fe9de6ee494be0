//! `--device`: what to train and predict on.

use super::outcome::Stop;
use super::output::say;
use crate::exec::Gpu;
use crate::nn::{self, DeviceName};
use std::str::FromStr;

/// `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// All GPUs, or the CPU if there are none.
    Auto,
    /// All GPUs; it is an error if there are none.
    AllGpus,
    One(DeviceName),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cuda" => Ok(Device::AllGpus),
            _ => one_device(text).map(Device::One).map_err(|_| "expected auto, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

/// A device that users may name: `cpu`, `cuda` or `cuda:N`.
pub(super) fn one_device(text: &str) -> Result<DeviceName, String> {
    match text.parse() {
        Ok(name @ (DeviceName::Cpu | DeviceName::Cuda(_))) => Ok(name),
        _ => Err("expected cpu, cuda or cuda:N".to_owned()),
    }
}

impl Device {
    /// The GPUs that it means; none for the CPU.
    pub(super) fn gpus(self) -> Result<Vec<DeviceName>, Stop> {
        let not_there = |why: String| {
            let name = if let Device::One(name) = self { name.to_string() } else { "cuda".to_owned() };
            Stop::not_there(format!("--device {name}: {why}; use --device cpu"))
        };
        let all = |count: usize| (0..count).map(DeviceName::Cuda).collect();
        let gpus = match self {
            Device::One(DeviceName::Cpu | DeviceName::Pretended(_)) => Vec::new(),
            Device::Auto => pretended().unwrap_or_else(|| nn::device::gpus().map_or_else(|_| Vec::new(), all)),
            Device::AllGpus => nn::device::gpus().map(all).map_err(not_there)?,
            Device::One(name @ DeviceName::Cuda(ordinal)) => match nn::device::gpus().map_err(not_there)? {
                count if ordinal < count => vec![name],
                1 => return Err(not_there("there is only one GPU, cuda:0".to_owned())),
                count => {
                    return Err(not_there(format!("there are only {count} GPUs, cuda:0 to cuda:{}", count - 1)));
                }
            },
        };
        tracing::debug!(asked = ?self, ?gpus, "devices chosen");
        Ok(gpus)
    }
}

/// Stand-ins for GPUs that compute on the CPU. Only for tests of how GPUs are shared among stages and runs.
fn pretended() -> Option<Vec<DeviceName>> {
    let count: usize = std::env::var("MATSSL_PRETENDED_GPUS").ok()?.parse().ok()?;
    Some((0..count).map(DeviceName::Pretended).collect())
}

/// Says which GPUs are used. A build that could use GPUs says why it uses none, unless the CPU was asked for.
pub(super) fn say_device(asked: Device, gpus: &[Gpu]) {
    say_gpus(asked, &gpus.iter().map(|gpu| gpu.name).collect::<Vec<DeviceName>>());
}

/// As [`say_device`], by their names.
pub(super) fn say_gpus(asked: Device, gpus: &[DeviceName]) {
    if !gpus.is_empty() {
        let named: Vec<String> = gpus.iter().map(|&gpu| nn::device::with_model(gpu)).collect();
        say(&format!("computing on {}", named.join(", ")));
    } else if let (Device::Auto, true, Err(why)) = (asked, cfg!(feature = "cuda"), nn::device::gpus()) {
        say(&format!("computing on the CPU: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_name_devices_that_exist() {
        assert_eq!("cuda".parse(), Ok(Device::AllGpus));
        assert_eq!("cuda:1".parse(), Ok(Device::One(DeviceName::Cuda(1))));
        for text in ["pretended:1", "gpu", "cuda:x", ""] {
            assert!(text.parse::<Device>().is_err() && one_device(text).is_err(), "{text}");
        }
    }
}
