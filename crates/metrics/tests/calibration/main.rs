//! Temperature, log loss and expected calibration error agree with PyTorch's (`calibration.py`).

use matssl_metrics::CalibrationSample;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    classes: usize,
    probabilities: Vec<f32>,
    labels: Vec<u8>,
    temperature: f64,
    log_loss: [f64; 2],
    expected_error: [f64; 2],
    pixels: [Vec<u64>; 2],
}

#[test]
fn the_calibration_is_pytorchs() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("calibration.json")).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let mut sample = CalibrationSample::new(case.classes, None);
        sample.add(&case.probabilities, &case.labels);
        let found = sample.fit().unwrap();
        let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-7, "{found} {expected}");
        close(found.temperature, case.temperature);
        for at in 0..2 {
            close(found.log_loss[at], case.log_loss[at]);
            close(found.expected_error[at], case.expected_error[at]);
        }
        assert_eq!([found.before.pixels, found.after.pixels], case.pixels);
    }
}
