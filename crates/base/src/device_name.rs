//! Names of the devices that stages compute on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a device, as users write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DeviceName {
    /// `cpu`.
    #[default]
    Cpu,
    /// `cuda:N`: an NVIDIA GPU, with the driver's number.
    Cuda(usize),
    /// `pretended:N`: a GPU for the scheduling of stages that computes on the CPU. For tests.
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

    fn from_str(text: &str) -> Result<Self, String> {
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

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
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
}
