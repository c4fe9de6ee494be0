//! Checks the transfer of batches to a GPU: reused buffers and the kernel that normalises pixels.

use super::numbers::same_bits;
use super::step::{Say, open};
use crate::data::augment::normalization;
use crate::nn::{DeviceName, Images, Parameters, Precision, feeder};
use crate::random::Stream;
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

/// Shapes `[batch, height, width, channels]`, in an order that needs both larger and smaller buffers.
const SHAPES: [[usize; 4]; 5] = [[1, 1, 1, 1], [2, 5, 3, 3], [8, 64, 64, 1], [3, 7, 13, 3], [8, 64, 64, 3]];
/// Number of rounds. Buffers are reused from the second round on.
const ROUNDS: u64 = 4;

pub(super) fn check(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = open(name, Precision::Float32)?;
    let Some(feeder) = feeder(&device)? else { return Ok("not applicable: a CPU has no page-locked buffers".into()) };
    let mut sent = 0;
    for round in 0..ROUNDS {
        // Compared after all are sent, so that copies and kernels overlap.
        let mut sent_batches = Vec::new();
        for shape in SHAPES {
            for (is_bytes, precision) in
                [(true, Precision::Float32), (false, Precision::Float32), (true, Precision::Bf16)]
            {
                let mut stream = Stream::new(round, "doctor's pixels", 0, sent);
                let pixels: Vec<f32> = (0..shape.iter().product())
                    .map(|_| if is_bytes { stream.below(256) as f32 } else { stream.range(0.0, 255.0) as f32 })
                    .collect();
                let room = if is_bytes {
                    let mut room = feeder.bytes(shape)?;
                    room.bytes_mut()?.iter_mut().zip(&pixels).for_each(|(to, from)| *to = *from as u8);
                    room
                } else {
                    let mut room = feeder.planes(shape)?;
                    room.planes_mut()?.copy_from_slice(&pixels);
                    room
                };
                let parameters = Parameters::new(DType::F32, &device).with_precision(precision);
                let found = Images::Sent(room.send()?).normalized(&parameters, normalization())?;
                sent_batches.push((shape, is_bytes, pixels, found));
                sent += 1;
            }
        }
        for (shape, is_bytes, pixels, found) in sent_batches {
            let expected = expected(shape, is_bytes, &pixels)?.to_dtype(found.dtype())?;
            let form = if is_bytes { "bytes" } else { "planes" };
            ensure!(
                same_bits(&found, &expected)?,
                "{form} {shape:?} to {:?}, round {round}: normalised pixels differ from the CPU's",
                found.dtype()
            );
        }
        say(&format!("round {round}: bit-identical to the CPU"));
    }
    Ok(format!("{sent} batches bit-identical to the CPU"))
}

/// The normalised pixels of the CPU's loader.
fn expected([batch, height, width, channels]: [usize; 4], is_bytes: bool, pixels: &[f32]) -> Result<Tensor> {
    let ([scale, shift], area) = (normalization(), height * width);
    let at = |index: usize| {
        let (image, pixel, c) = (index / 3 / area, index / 3 % area, index % 3);
        let channel = c.min(channels - 1);
        let from = match is_bytes {
            true => (image * area + pixel) * channels + channel,
            false => (image * channels + channel) * area + pixel,
        };
        pixels[from] * scale[c] + shift[c]
    };
    let values: Vec<f32> = (0..batch * area * 3).map(at).collect();
    Ok(Tensor::from_vec(values, (batch, height, width, 3), &Device::Cpu)?)
}
