//! Probabilities with the temperature of a calibration.

use crate::model::ModelFolder;
use rayon::prelude::*;

/// The temperature of a single model's calibration; 1 without one, and for several models. The mean of several models is already
/// less confident than each of them, and their temperatures would make it underconfident (Rahaman and Thiery 2021, *Uncertainty
/// Quantification and Deep Ensembles*).
pub(super) fn temperature(folders: &[ModelFolder]) -> f64 {
    match folders {
        [folder] => folder.description.calibration.as_ref().map_or(1.0, |found| found.temperature),
        _ => 1.0,
    }
}

/// Raises `probabilities` `[pixels, classes]` to the power `1 / temperature` and normalises them. So their logarithms are divided
/// by the temperature (Guo et al. 2017, equation 9), and the order of a pixel's classes stays.
pub(super) fn apply(probabilities: &mut [f32], classes: usize, temperature: f64) {
    if temperature == 1.0 {
        return;
    }
    let power = (1.0 / temperature) as f32;
    probabilities.par_chunks_mut(classes).with_min_len(1 << 12).for_each(|values| {
        values.iter_mut().for_each(|value| *value = value.powf(power));
        let sum: f32 = values.iter().sum();
        values.iter_mut().for_each(|value| *value /= sum);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_divided_by_the_temperature() {
        let mut values = vec![0.7, 0.2, 0.1, 1.0, 0.0, 0.0];
        apply(&mut values, 3, 2.0);
        let roots = [0.7f32, 0.2, 0.1].map(f32::sqrt);
        let sum: f32 = roots.iter().sum();
        for (value, root) in values.iter().zip(roots) {
            assert!((value - root / sum).abs() < 1e-6);
        }
        assert_eq!(values[3..], [1.0, 0.0, 0.0]);
        let before = values.clone();
        apply(&mut values, 3, 1.0);
        assert_eq!(values, before);
    }
}
