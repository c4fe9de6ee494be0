//! Where both sides compute, and how exactly.

use anyhow::{Error, Result};
use clap::Args;
use matssl_run::nn::{DeviceName, OpenDevice, Precision};

/// What our worker and PyTorch's are started with.
#[derive(Args, Clone, Copy)]
pub(crate) struct Setting {
    /// What both sides compute on: cpu, cuda or cuda:N.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) device: DeviceName,
    /// float32; on a GPU also tf32 or bf16.
    #[arg(long, value_name = "NAME", default_value = "float32", value_parser = precision)]
    pub(crate) precision: Precision,
    /// Lets our side use a GPU's algorithms that give other bits each time.
    #[arg(long)]
    pub(crate) nondeterministic: bool,
}

fn precision(text: &str) -> Result<Precision, String> {
    let all = [Precision::Float32, Precision::Tf32, Precision::Bf16];
    all.into_iter()
        .find(|precision| precision.name() == text)
        .ok_or_else(|| "expected float32, tf32 or bf16".to_owned())
}

impl Setting {
    /// Whether both sides compute on a GPU.
    pub(crate) fn on_gpu(&self) -> bool {
        self.device != DeviceName::Cpu
    }

    /// The arguments that tell another process of this program the same.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut words = vec![format!("--device={}", self.device), format!("--precision={}", self.precision.name())];
        words.extend(self.nondeterministic.then(|| "--nondeterministic".to_owned()));
        words
    }

    /// Opens the device for this process; TF32 and determinism hold for all of it.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(crate) fn open(&self) -> Result<OpenDevice> {
        OpenDevice::open(self.device, self.precision, !self.nondeterministic).map_err(Error::msg)
    }
}
