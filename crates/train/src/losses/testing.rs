//! Finite differences for losses.

use super::loss_gradient::LossGradient;
use candle_core::{Device, Result, Tensor};
use matssl_base::random::Stream;

/// Holds the gradient of `loss` to central differences in float64, on a random 2×3×4 batch.
pub(crate) fn check_loss(
    loss: impl Fn(&Tensor, &Tensor, Option<u8>) -> Result<LossGradient>,
    classes: usize,
    ignore: bool,
    seed: u64,
) {
    let mut stream = Stream::new(seed, "test loss", 0, 0);
    let count = 2 * 3 * 4;
    let logits: Vec<f64> = (0..count * classes).map(|_| 2.0 * stream.normal()).collect();
    let label =
        |stream: &mut Stream| if ignore && stream.chance(0.3) { 77 } else { stream.below(classes as u64) as u8 };
    let labels: Vec<u8> = (0..count).map(|_| label(&mut stream)).collect();
    let run = |logits: &[f64]| -> Result<LossGradient> {
        let target = Tensor::from_slice(&labels, (2, 3, 4), &Device::Cpu)?;
        loss(&Tensor::from_slice(logits, (2, 3, 4, classes), &Device::Cpu)?, &target, ignore.then_some(77))
    };
    let gradient =
        run(&logits).and_then(|found| found.gradient.flatten_all()?.to_vec1::<f64>()).expect("the loss runs");
    for (index, gradient) in gradient.into_iter().enumerate() {
        let at = |step: f64| {
            let mut moved = logits.clone();
            moved[index] += step;
            run(&moved).expect("the loss runs").loss
        };
        let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((numeric - gradient).abs() < 1e-8, "[{index}]: {gradient}, finite differences {numeric}");
    }
}

/// Random logits `[2, 3, 4, classes]` and labels for them.
pub(crate) fn random(classes: usize, seed: u64) -> Result<(Tensor, Tensor)> {
    let mut stream = Stream::new(seed, "test loss", 0, 0);
    let logits: Vec<f64> = (0..24 * classes).map(|_| 2.0 * stream.normal()).collect();
    let labels: Vec<u8> = (0..24).map(|_| stream.below(classes as u64) as u8).collect();
    let target = Tensor::from_vec(labels, (2, 3, 4), &Device::Cpu)?;
    Ok((Tensor::from_vec(logits, (2, 3, 4, classes), &Device::Cpu)?, target))
}
