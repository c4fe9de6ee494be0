//! Metrics by the names of their columns.

/// Which values of a metric are better.
pub(super) enum Better {
    Higher,
    Lower,
}

impl Better {
    /// `None` for a metric that has no better and worse.
    pub(super) fn of(metric: &str) -> Option<Better> {
        if metric.contains("loss") {
            Some(Better::Lower)
        } else if is_share(metric) {
            Some(Better::Higher)
        } else {
            None
        }
    }
}

/// Whether a metric runs from 0 to 1. It is shown in percent.
pub(super) fn is_share(metric: &str) -> bool {
    ["iou", "dice", "accuracy", "precision", "recall", "retrieval"].iter().any(|part| metric.contains(part))
        && !metric.contains("loss")
}

/// The label of the axis, with the unit: `val_miou` → `validation mIoU (%)`. `validation` is the word for the images that the
/// epoch was chosen on, followed by a space.
pub(super) fn axis_label(metric: &str, validation: &str) -> String {
    let (images, rest) = match metric.split_once('_') {
        Some(("val", rest)) => (validation, rest),
        Some(("test", rest)) => ("test ", rest),
        Some(("train", rest)) => ("training ", rest),
        _ => ("", metric),
    };
    let name = match rest {
        "miou" => "mIoU".to_owned(),
        "dice" => "Dice".to_owned(),
        rest => match rest.strip_prefix("iou_") {
            Some(class) => format!("IoU of {class}"),
            None => rest.replace('_', " "),
        },
    };
    format!("{images}{name}{}", if is_share(metric) { " (%)" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_axes_name_the_metric_and_its_unit() {
        let labels = ["val_miou", "iou_austenite", "train_loss", "learning_rate", "test_dice"]
            .map(|metric| axis_label(metric, "validation "));
        let expected =
            ["validation mIoU (%)", "IoU of austenite (%)", "training loss", "learning rate", "test Dice (%)"];
        assert_eq!(labels, expected);
    }
}
