//! The imaging of a micrograph: scratches, blur, shading and detector noise.

use super::field::Field;
use super::imaging::Imaging;
use super::params::SynthesizeParams;
use matssl_base::random::Stream;
use std::f64::consts::TAU;

/// Turns ideal grey values (0–255, `[size, size]`) into the values of a detector. Each effect draws from its own stream, so
/// that another strength of noise does not move scratches or shading.
pub(super) fn photograph(mut grey: Vec<f64>, params: &SynthesizeParams, imaging: &Imaging, stream: &Stream) -> Vec<u8> {
    let size = params.size;
    scratch(&mut grey, params, &mut stream.child(0));
    let mut lens = stream.child(1);
    let mut values: Vec<f32> = grey.iter().map(|&v| v as f32).collect();
    defocus(&mut values, size, imaging.defocused(lens.range(0.5, 0.9)) as f32);

    let (gain, offset) = (lens.range(0.9, 1.12), lens.range(-10.0, 10.0));
    let (tilt, strength) = (lens.range(0.0, TAU), 0.12 * params.shading * lens.uniform());
    let slow = Field::new(size, size as f64 / 1.5, &mut lens);
    let mut detector = stream.child(2);
    let mut out = Vec::with_capacity(values.len());
    for (i, &value) in values.iter().enumerate() {
        let (x, y) = ((i % size) as f64, (i / size) as f64);
        let (u, v) = (x / size as f64 - 0.5, y / size as f64 - 0.5);
        let shade = 1.0 + 2.0 * strength * (u * tilt.cos() + v * tilt.sin()) + 0.04 * params.shading * slow.at(x, y);
        let clean = imaging.detected((f64::from(value) * gain * shade + offset).max(0.0));
        // Shot noise grows with the signal, amplifier noise does not.
        let sigma = params.noise * (0.30 * clean + 20.0).sqrt();
        out.push((clean + sigma * detector.normal()).round().clamp(0.0, 255.0) as u8);
    }
    out
}

/// Gaussian blur of standard deviation `sigma` pixels, cut at 3 σ; the border pixel is repeated outside.
pub(super) fn defocus(values: &mut [f32], width: usize, sigma: f32) {
    let radius = (3.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f32> =
        (0..=2 * radius).map(|i| (-0.5 * ((i as f32 - radius as f32) / sigma).powi(2)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= sum);

    let height = values.len() / width;
    let mut padded = vec![0.0; width + 2 * radius];
    let mut across = vec![0.0f32; values.len()];
    for (source, out) in values.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (x, value) in padded.iter_mut().enumerate() {
            *value = source[x.saturating_sub(radius).min(width - 1)];
        }
        for (tap, weight) in kernel.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(&padded[tap..]) {
                *out += weight * value;
            }
        }
    }
    values.fill(0.0);
    for (y, out) in values.chunks_exact_mut(width).enumerate() {
        for (tap, weight) in kernel.iter().enumerate() {
            let from = (y + tap).saturating_sub(radius).min(height - 1) * width;
            for (out, value) in out.iter_mut().zip(&across[from..from + width]) {
                *out += weight * value;
            }
        }
    }
}

/// Polishing scratches: long, thin, nearly straight, darker or brighter than what they cross.
fn scratch(grey: &mut [f64], params: &SynthesizeParams, stream: &mut Stream) {
    let size = params.size as f64;
    let count = (params.scratches + stream.uniform()).floor() as usize;
    for _ in 0..count {
        let (x, y) = (stream.range(0.0, size), stream.range(0.0, size));
        let (angle, bend) = (stream.range(0.0, TAU), stream.range(-0.3, 0.3) / size);
        let (half, width) = (size * stream.range(0.15, 0.6), stream.range(0.5, 1.1));
        let strength = stream.range(18.0, 40.0) * if stream.chance(0.6) { -1.0 } else { 1.0 };
        let (dx, dy) = (angle.cos(), angle.sin());
        for (i, value) in grey.iter_mut().enumerate() {
            let (px, py) = ((i % params.size) as f64 - x, (i / params.size) as f64 - y);
            let along = px * dx + py * dy;
            let across = py * dx - px * dy - bend * along * along;
            if across.abs() < 4.0 * width && along.abs() < half {
                // Fades out towards its ends.
                let fade = 1.0 - (along / half).powi(4);
                *value += strength * fade * (-0.5 * (across / width).powi(2)).exp();
            }
        }
    }
}
