//! Checks one kernel at three sizes.

use super::numbers::{Numbers, same_bits};
use super::step::{Say, open};
use crate::nn::ops::{gpu::probe, relu};
use crate::nn::{DeviceName, Precision};
use anyhow::{Result, ensure};
use candle_core::{DType, Device};

/// One thread; one block and one more thread; many blocks and a remainder.
const SIZES: [usize; 3] = [1, 257, (1 << 20) + 3];

pub(super) fn check(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = open(name, Precision::Float32)?;
    for count in SIZES {
        let [here, there] = [&Device::Cpu, &device].map(|device| Numbers::new(device, DType::F32, Precision::Float32));
        let expected = probe::on_cpu(|| relu::forward(&here.tensor(&[count], 0)?))?;
        let found = relu::forward(&there.tensor(&[count], 0)?)?;
        device.synchronize()?;
        ensure!(same_bits(&found, &expected)?, "relu of {count} elements differs from the CPU's");
        say(&format!("relu of {count} elements: bit-identical to the CPU"));
    }
    Ok("bit-identical to the CPU at all sizes".into())
}
