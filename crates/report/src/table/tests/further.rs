//! Columns of further scores, folds, and rows of several models.

use super::*;
use crate::table::NoColumn;
use matssl_metrics::{BoundaryDistance, BoundaryScores, Calibration, Fold, FurtherScore, Reliability};

fn with_boundary(right: (u8, u8), miou: f64, distance: f64) -> Evaluation {
    let distance = BoundaryDistance::try_from(distance).unwrap();
    let error = 1.0 - miou;
    let calibration = Calibration {
        temperature: 1.0,
        pixels: 1,
        log_loss: [0.5; 2],
        expected_error: [0.9, error],
        before: Reliability::default(),
        after: Reliability::default(),
    };
    Evaluation {
        boundary: Some(BoundaryScores { distance, miou: Some(miou), iou: vec![Some(miou); 3] }),
        calibration: Some(calibration),
        ..evaluation(right, SelectedOn::Val)
    }
}

#[test]
fn columns_of_further_scores_follow_the_usual_ones() {
    let methods = [
        ("a".to_owned(), vec![with_boundary((90, 50), 0.5, 0.02), with_boundary((92, 48), 0.75, 0.02)]),
        ("b".to_owned(), vec![with_boundary((95, 52), 0.25, 0.02)]),
    ];
    let columns = [FurtherScore::BoundaryIou, FurtherScore::CalibrationError];
    let table = Table::new(None, &methods).unwrap().with_scores(&columns, &methods).unwrap();
    let csv = table.csv().unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].ends_with(",boundary_iou,boundary_iou_std,calibration_error,calibration_error_std"), "{csv}");
    assert!(lines[1].ends_with(",62.50,17.68,37.50,17.68") && lines[2].ends_with(",25.00,,75.00,"), "{csv}");
    assert!(lines[3].starts_with("majority class") && lines[3].ends_with(",,,,"), "{csv}");
    let text = table.markdown();
    assert!(text.contains("boundary IoU (%) | calibration error (%)"), "{text}");
    assert!(text.contains("| **62.50 ± 17.68** | **37.50 ± 17.68** |"), "the smaller error is the better one: {text}");
    assert!(text.contains("boundary IoU: IoU of the pixels within 2 % of the diagonal of a border, pooled"), "{text}");

    let other = [methods[0].clone(), ("c".to_owned(), vec![with_boundary((95, 52), 0.25, 3.0)])];
    let refused = Table::new(None, &other).unwrap().with_scores(&columns, &other).unwrap_err();
    assert!(matches!(&refused, NoColumn::OtherDefinition { label, .. } if label == "c"));
    assert!(refused.to_string().contains("within 3 pixels"), "{refused}");
    let without = [("d".to_owned(), vec![evaluation((95, 52), SelectedOn::Val)])];
    let refused = Table::new(None, &without).unwrap().with_scores(&columns, &without).unwrap_err().to_string();
    assert_eq!(
        refused,
        "d was evaluated without boundary IoU: set `boundary = 0.02` in the `evaluate` stage, or take \"boundary_iou\" out of \
         `columns`"
    );
}

#[test]
fn a_table_says_that_its_values_are_over_folds() {
    let fold = |index: usize| Evaluation {
        fold: Some(Fold { index, of: 3 }),
        ..evaluation((90 + index as u8, 50), SelectedOn::Val)
    };
    let runs = |seeds: usize| (0..seeds).flat_map(|_| (1..=3).map(fold)).collect::<Vec<_>>();
    let together = Evaluation { models: Some(3), copies: Some(4), ..evaluation((95, 55), SelectedOn::Val) };
    let table = |seeds: usize| {
        let methods = [("each".to_owned(), runs(seeds)), ("together".to_owned(), vec![together.clone()])];
        Table::new(None, &methods).unwrap()
    };
    let one = table(1);
    assert_eq!((one.rows[0].seeds, one.rows[0].folds, one.rows[1].folds), (Some(1), Some(3), None));
    let text = one.markdown();
    assert!(text.contains("Mean ± sample standard deviation over folds."), "{text}");
    assert!(text.contains("| seeds | folds |") && text.contains("| 1 | 3 |") && text.contains("| 1 | – |"), "{text}");
    let note = "together: mean of the probabilities of 3 models, for 4 copies of each tile (test-time augmentation).";
    assert!(text.contains(note), "{text}");
    assert!(one.csv().unwrap().lines().next().unwrap().ends_with(",folds"));
    let two = table(2);
    assert_eq!(two.rows[0].seeds, Some(2));
    assert!(two.terminal().contains("over seeds and folds"));
    assert!(!small().markdown().contains("fold"));
}
