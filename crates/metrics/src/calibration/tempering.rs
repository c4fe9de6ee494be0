//! Probabilities at a temperature.

/// The logarithm of a probability, finite for 0: that of the smallest normal float32.
pub(super) fn logarithm(probability: f32) -> f64 {
    f64::from(probability.max(f32::MIN_POSITIVE)).ln()
}

/// The most probable class; the first of equally probable ones, as labels are.
pub(super) fn predicted(probabilities: &[f32]) -> usize {
    (1..probabilities.len())
        .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best })
}

/// Replaces the probabilities of one pixel, `[classes]`, by `p^(1/temperature)`, normalised: those of the same logits divided by
/// `temperature`, which is more than 0. The order of the classes stays: the most probable class is the same, unless two are as probable
/// as each other to the last digits of a float32.
pub fn temper(pixel: &mut [f32], temperature: f64) {
    let most = pixel.iter().map(|&p| logarithm(p)).fold(f64::NEG_INFINITY, f64::max);
    let power = |p: f32| ((logarithm(p) - most) / temperature).exp();
    let sum: f64 = pixel.iter().map(|&p| power(p)).sum();
    pixel.iter_mut().for_each(|p| *p = (power(*p) / sum) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_temperature_of_two_takes_roots() {
        let mut pixel = [0.64, 0.04, 0.32];
        temper(&mut pixel, 2.0);
        let roots = [0.8, 0.2, 0.32f64.sqrt()];
        let sum: f64 = roots.iter().sum();
        for (p, root) in pixel.iter().zip(roots) {
            assert!((f64::from(*p) - root / sum).abs() < 1e-7);
        }
        let mut certain = [0.0, 1.0];
        temper(&mut certain, 20.0);
        assert!(certain[1] > 0.98 && certain[0] > 0.0 && certain[0].is_finite(), "{certain:?}");
        temper(&mut certain, 0.05);
        assert_eq!(certain[1], 1.0);
    }

    proptest! {
        #[test]
        fn labels_stay(logits in prop::collection::vec(-30.0f32..30.0, 2..8), temperature in 0.05f64..20.0) {
            let sum: f32 = logits.iter().map(|l| (l - 30.0).exp()).sum();
            let mut pixel: Vec<f32> = logits.iter().map(|l| (l - 30.0).exp() / sum).collect();
            let label = predicted(&pixel);
            let mut sorted = pixel.clone();
            sorted.sort_by(f32::total_cmp);
            temper(&mut pixel, temperature);
            prop_assert!((pixel.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            let is_tie = sorted[sorted.len() - 2] > sorted[sorted.len() - 1] * (1.0 - 1e-5);
            prop_assert!(is_tie || predicted(&pixel) == label, "{:?}", pixel);
        }
    }
}
