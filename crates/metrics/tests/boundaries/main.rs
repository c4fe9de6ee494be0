//! Boundary IoU and surface Dice agree with their authors' code (`boundaries.py`), and pixels without a known class are as outside
//! the image.

use matssl_metrics::{BoundaryDistance, BoundaryMeter, SurfaceMeter, SurfaceTolerance};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    width: usize,
    classes: usize,
    truth: Vec<String>,
    prediction: Vec<String>,
    boundary: Vec<Boundary>,
    surface: Vec<Surface>,
}

#[derive(Deserialize)]
struct Boundary {
    distance: BoundaryDistance,
    iou: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Surface {
    tolerance: f64,
    /// Down, across.
    spacing: [f64; 2],
    dice: Vec<Option<f64>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("boundaries.json")).unwrap()
}

fn pixels(rows: &[String]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.bytes().map(|byte| byte - b'0')).collect()
}

#[test]
fn boundary_iou_and_surface_dice_are_those_of_their_authors() {
    let close = |ours: &[Option<f64>], theirs: &[Option<f64>]| {
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours.is_some(), theirs.is_some());
            assert!((ours.unwrap_or(0.0) - theirs.unwrap_or(0.0)).abs() < 1e-12, "{ours:?} {theirs:?}");
        }
    };
    let mut compared = 0;
    for case in cases() {
        let (truth, prediction) = (pixels(&case.truth), pixels(&case.prediction));
        for expected in &case.boundary {
            let mut meter = BoundaryMeter::new(case.classes, None, expected.distance);
            meter.add(&truth, &prediction, case.width);
            close(&meter.finish(&[]).iou, &expected.iou);
        }
        for expected in &case.surface {
            let [down, across] = expected.spacing;
            let mut meter = SurfaceMeter::new(case.classes, None);
            meter.add(&truth, &prediction, case.width, (expected.tolerance, [across, down]));
            close(&meter.finish(SurfaceTolerance::Pixels(0.0), &[]).dice, &expected.dice);
            compared += expected.dice.len();
        }
    }
    assert_eq!(compared, 5 * (2 + 3 + 4 + 5));
}

#[test]
fn unknown_pixels_are_as_outside_the_image() {
    const CUT: usize = 4;
    for case in cases() {
        let (mut truth, prediction) = (pixels(&case.truth), pixels(&case.prediction));
        truth.chunks_mut(case.width).for_each(|row| row[case.width - CUT..].fill(255));
        let smaller = |labels: &[u8]| -> Vec<u8> {
            labels.chunks(case.width).flat_map(|row| row[..case.width - CUT].iter().copied()).collect()
        };
        let scores = |truth: &[u8], prediction: &[u8], width: usize| {
            let mut boundary = BoundaryMeter::new(case.classes, Some(255), BoundaryDistance::try_from(2.0).unwrap());
            let mut surface = SurfaceMeter::new(case.classes, Some(255));
            boundary.add(truth, prediction, width);
            surface.add(truth, prediction, width, (1.0, [1.0, 1.0]));
            (boundary.finish(&[0]), surface.finish(SurfaceTolerance::Pixels(1.0), &[0]))
        };
        let cut = scores(&smaller(&truth), &smaller(&prediction), case.width - CUT);
        assert_eq!(scores(&truth, &prediction, case.width), cut);
    }
}
