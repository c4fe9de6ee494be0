//! mIoU against segmentation_models_pytorch and torchmetrics, the signed-rank test against scipy; `reference/metrics.py`
//! wrote what they compute.

use crate::fixture;
use crate::hashed::Uniform;
use matssl_run::metrics::{Averaging, Confusion, Overlap, signed_rank};
use serde::Deserialize;
use std::collections::BTreeMap;

const PIXELS: usize = 144;

#[derive(Debug, Deserialize)]
struct Means {
    classes: usize,
    images: usize,
    batch: usize,
    ignored: Vec<u8>,
    smp: BTreeMap<String, f64>,
    torchmetrics: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
struct SignedRank {
    differences: Vec<f64>,
    p: f64,
}

impl Means {
    fn image(&self, number: usize) -> Vec<Overlap> {
        let draws = |what: &str| Uniform::new(&format!("metrics {} {what} {number}", self.classes));
        let share = |draws: Uniform, pixel: usize| (draws.at(pixel) + 1.0) / 2.0;
        let label = |share: f64| (share * (number % self.classes + 1) as f64) as u8;
        let (truth, other, wrong) = (draws("truth"), draws("other"), draws("wrong"));
        let truth: Vec<u8> = (0..PIXELS).map(|pixel| label(share(truth, pixel))).collect();
        let predicted = |pixel: usize| match share(wrong, pixel) < 0.2 {
            true => label(share(other, pixel)),
            false => truth[pixel],
        };
        let prediction: Vec<u8> = (0..PIXELS).map(predicted).collect();
        let mut confusion = Confusion::new(self.classes);
        confusion.add(&truth, &prediction, None).expect("labels are classes");
        confusion.overlaps(&self.ignored)
    }
}

#[test]
fn miou_is_smps_and_torchmetrics() {
    let cases: Vec<Means> = fixture::section(include_str!("metrics.json"), "means");
    for case in &cases {
        let images: Vec<Vec<Overlap>> = (0..case.images).map(|number| case.image(number)).collect();
        for (name, averaging) in ["pooled", "images", "batches"].into_iter().zip(Averaging::ALL) {
            let ours = averaging.miou(images.iter().map(Vec::as_slice), case.batch).expect("there are pixels");
            assert!((ours - case.smp[name]).abs() < 1e-12, "{name}: {ours} in {case:?}");
            if let Some(theirs) = case.torchmetrics.get(name) {
                // torchmetrics divides in float32.
                assert!((ours - theirs).abs() < 1e-6, "{name}: {ours} in {case:?}");
            }
        }
    }
    assert!(cases.len() >= 5);
}

#[test]
fn the_signed_rank_test_is_scipys() {
    let cases: Vec<SignedRank> = fixture::section(include_str!("metrics.json"), "signed_rank");
    for case in &cases {
        let ours = signed_rank(&case.differences).expect("eight differences or more");
        assert!((ours - case.p).abs() < 1e-9 * case.p.max(1e-3), "{ours}: {case:?}");
    }
    assert!(cases.len() > 15);
}
