//! Scores that an evaluation has only where it is asked for them.

use super::Evaluation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A score that an evaluation has only where it is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FurtherScore {
    /// Boundary IoU, mean over the classes (`boundary` of the evaluation).
    BoundaryIou,
    /// Surface Dice, mean over the classes (`surface_tolerance` of the evaluation).
    SurfaceDice,
    /// Mean of the mIoU of the specimens (`specimens = true` of the evaluation).
    SpecimenMiou,
    /// Expected calibration error of the probability of the predicted class, 15 bins, with the model's temperature. Smaller is better.
    CalibrationError,
}

impl FurtherScore {
    /// The name, as in a table's CSV and its `columns`.
    pub fn key(self) -> &'static str {
        match self {
            FurtherScore::BoundaryIou => "boundary_iou",
            FurtherScore::SurfaceDice => "surface_dice",
            FurtherScore::SpecimenMiou => "specimen_miou",
            FurtherScore::CalibrationError => "calibration_error",
        }
    }

    /// The heading of its column, without the unit.
    pub fn heading(self) -> &'static str {
        match self {
            FurtherScore::BoundaryIou => "boundary IoU",
            FurtherScore::SurfaceDice => "surface Dice",
            FurtherScore::SpecimenMiou => "mIoU of specimens",
            FurtherScore::CalibrationError => "calibration error",
        }
    }

    /// What asks an evaluation for it.
    pub fn setting(self) -> &'static str {
        match self {
            FurtherScore::BoundaryIou => "`boundary = 0.02`",
            FurtherScore::SurfaceDice => "`surface_tolerance = 2`",
            FurtherScore::SpecimenMiou => "`specimens = true`",
            FurtherScore::CalibrationError => "a model that this program has trained",
        }
    }

    /// Whether smaller values are better.
    pub fn is_error(self) -> bool {
        self == FurtherScore::CalibrationError
    }

    /// The score, from 0 to 1; `None` if it was not measured, or no class has it.
    pub fn of(self, evaluation: &Evaluation) -> Option<f64> {
        match self {
            FurtherScore::BoundaryIou => evaluation.boundary.as_ref()?.miou,
            FurtherScore::SurfaceDice => evaluation.surface.as_ref()?.mean,
            FurtherScore::SpecimenMiou => evaluation.specimens.as_ref()?.miou,
            FurtherScore::CalibrationError => Some(evaluation.calibration.as_ref()?.expected_error[1]),
        }
    }

    /// How `evaluation` measured it, in a sentence without a point; `None` if it did not. Only scores that were measured alike can be
    /// compared.
    pub fn definition(self, evaluation: &Evaluation) -> Option<String> {
        Some(match self {
            FurtherScore::BoundaryIou => {
                let distance = evaluation.boundary.as_ref()?.distance.words();
                format!(
                    "IoU of the pixels within {distance} of a border, pooled over the images, mean over the classes"
                )
            }
            FurtherScore::SurfaceDice => {
                let tolerance = evaluation.surface.as_ref()?.tolerance.words();
                format!(
                    "share of the borders' length within {tolerance} of the other's, pooled over the images, mean over the classes"
                )
            }
            FurtherScore::SpecimenMiou => {
                evaluation.specimens.as_ref()?;
                "mIoU of each specimen from all its pixels, then the mean over the specimens".to_owned()
            }
            FurtherScore::CalibrationError => {
                evaluation.calibration.as_ref()?;
                "expected calibration error of the predicted class's probability, 15 bins; smaller is better".to_owned()
            }
        })
    }
}
