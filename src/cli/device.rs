//! `--device`: what to train and predict on.

use super::Stop;
use super::progress::say;
use crate::exec::Gpu;
use crate::exit_code;
use crate::nn::{self, DeviceName};
use std::str::FromStr;

/// `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// All GPUs that there are, or else the CPU.
    Auto,
    /// All GPUs; it is an error if there is none.
    AllGpus,
    /// So many that are none.
    Pretended(usize),
    One(DeviceName),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cuda" => Ok(Device::AllGpus),
            _ if text.starts_with("pretended:") => match text["pretended:".len()..].parse() {
                Ok(count @ 1..=64) => Ok(Device::Pretended(count)),
                _ => Err("expected pretended:N, N from 1 to 64".to_owned()),
            },
            _ => text.parse().map(Device::One).map_err(|_| "expected auto, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

impl Device {
    /// The GPUs that it means; none for the CPU.
    pub(super) fn gpus(self) -> Result<Vec<DeviceName>, Stop> {
        let not_there = |why: String| {
            let name = if let Device::One(name) = self { name.to_string() } else { "cuda".to_owned() };
            Stop::new(exit_code::NOT_THERE, format!("error: --device {name}: {why}; use --device cpu"))
        };
        let all = |count: usize| (0..count).map(DeviceName::Cuda).collect();
        match self {
            Device::One(DeviceName::Cpu | DeviceName::Pretended(_)) => Ok(Vec::new()),
            Device::Pretended(count) => Ok((0..count).map(DeviceName::Pretended).collect()),
            Device::Auto => Ok(nn::device::gpus().map_or_else(|_| Vec::new(), all)),
            Device::AllGpus => nn::device::gpus().map(all).map_err(not_there),
            Device::One(name @ DeviceName::Cuda(ordinal)) => match nn::device::gpus().map_err(not_there)? {
                count if ordinal < count => Ok(vec![name]),
                1 => Err(not_there("there is only one GPU, cuda:0".to_owned())),
                count => Err(not_there(format!("there are only {count} GPUs, cuda:0 to cuda:{}", count - 1))),
            },
        }
    }
}

/// Which GPUs are used; of a build that could use some, why it uses none although it was free to.
pub(super) fn say_device(asked: Device, gpus: &[Gpu]) {
    if !gpus.is_empty() {
        let named: Vec<String> = gpus.iter().map(|gpu| nn::device::with_model(gpu.name)).collect();
        say(&format!("computing on {}", named.join(", ")));
    } else if let (Device::Auto, true, Err(why)) = (asked, cfg!(feature = "cuda"), nn::device::gpus()) {
        say(&format!("computing on the CPU: {why}"));
    }
}
