//! Checks that cuDNN has algorithms for every convolution of the paper's networks, for typical batch sizes, without a
//! run.

use super::numbers::{Faults, first_line};
use super::step::{Say, open};
use crate::nn::ops::gpu::{Direction, Sizes, probe};
use crate::nn::{DeviceName, Encoder, EncoderConfig, Parameters, Precision, SegmentationNetwork, convolutions};
use crate::random::Stream;
use anyhow::Result;
use candle_core::{DType, Device};
use indexmap::IndexSet;
use serde_json::json;

/// Batch sizes.
const BATCHES: [usize; 3] = [8, 32, 128];

/// The convolutions of ResNet-50 on views of 224² and of U-Net++ with ResNet-50 on crops of 256².
fn sizes() -> Result<IndexSet<Sizes>> {
    let stream = Stream::new(0, "doctor's plans", 0, 0);
    let encoder = json!({ "arch": "resnet50", "width": 64 });
    let (resnet, mut weights) = (Encoder::new(serde_json::from_value::<EncoderConfig>(encoder.clone())?), on_cpu());
    resnet.init(&mut weights, "", &stream)?;
    let segmentation = json!({ "encoder": encoder, "decoder_channels": [256, 128, 64, 32, 16], "classes": 5 });
    let (network, mut all_weights) = (SegmentationNetwork::new(serde_json::from_value(segmentation)?), on_cpu());
    network.init(&mut all_weights, &stream)?;
    let mut sizes = IndexSet::new();
    for batch in BATCHES {
        sizes.extend(convolutions(&weights, [batch, 224, 224, 3], |tape, x| {
            let [.., last] = resnet.features(tape, "", x)?;
            Ok(last)
        })?);
        sizes.extend(convolutions(&all_weights, [batch, 256, 256, 3], |tape, x| network.forward(tape, x))?);
    }
    Ok(sizes)
}

/// Parameters on the CPU, because the weights are not used.
fn on_cpu() -> Parameters {
    Parameters::new(DType::F32, &Device::Cpu)
}

pub(super) fn check(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = open(name, Precision::Float32)?;
    let sizes = sizes()?;
    if matches!(device, Device::Cpu) {
        return Ok(format!("not applicable: a CPU does not use cuDNN ({} convolutions)", sizes.len()));
    }
    let (mut queries, mut faults) = (0, Faults::new(say));
    for precision in [Precision::Bf16, Precision::Tf32, Precision::Float32] {
        open(name, precision)?;
        let dtype = if precision == Precision::Bf16 { DType::BF16 } else { DType::F32 };
        let before = faults.count();
        for &size in &sizes {
            for direction in [Direction::Forward, Direction::Data, Direction::Filter] {
                // Training does not need the gradient of an image.
                if direction == Direction::Data && size.input[3] == 3 {
                    continue;
                }
                queries += 1;
                let what = || format!("{} {direction:?} of {size:?}", precision.name());
                match probe::algorithms(&device, direction, size, dtype) {
                    Ok(algorithms) if algorithms.is_empty() => faults.add(format!("{}: no algorithm", what())),
                    Ok(_) => {}
                    Err(error) => faults.add(format!("{}: {}", what(), first_line(&error))),
                }
                if queries % 100 == 0 {
                    faults.say(&format!("{queries} queries"));
                }
            }
        }
        let without = faults.count() - before;
        faults.say(&format!("{}: {without} without an algorithm", precision.name()));
    }
    faults.end()?;
    Ok(format!("{queries} plans for {} convolutions of batches of 8, 32 and 128", sizes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_concatenation_of_unet_plus_plus_is_included() {
        // x_1_3: 64 upsampled channels and 3 × 128 channels at 128², for crops of 256².
        let joined = |sizes: &Sizes| sizes.input == [128, 64, 64, 896] || sizes.input == [128, 128, 128, 448];
        assert!(sizes().unwrap().iter().any(joined));
    }
}
