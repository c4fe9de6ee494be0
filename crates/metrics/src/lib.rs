//! Scores of a segmentation: intersection over union, Dice, pixel accuracy; a baseline; means over seeds, intervals and
//! tests.
//!
//! Unless [`Averaging`] says otherwise, scores come from one [`Confusion`] matrix pooled over the pixels of every image of the
//! set (not from a mean of scores per image). So large images weigh more, and a class may be missing in some images. A class
//! that is neither in the truth nor in the prediction has no score (`None`) and is in no mean, as in torchmetrics and in the
//! original U-Net++ evaluation.
//!
//! Of predicted masks it measures what metallographers ask for: area fractions with intervals ([`fractions`]), objects
//! ([`ObjectMeter`]) and intercept lengths ([`InterceptMeter`]), all from rows of labels as they come.

mod accuracy;
mod averaging;
mod bootstrap;
mod boundary;
mod calibration;
mod confusion;
mod confusion_file;
mod dice;
mod evaluation;
mod file_error;
mod fold;
mod fraction;
mod further_score;
mod holm;
mod image_scores;
mod intercepts;
mod iou;
mod majority;
mod objects;
mod specimen_scores;
mod summary;
mod wilcoxon;

pub use averaging::{AUTHORS_BATCH, Averaging, Overlap};
pub use bootstrap::{LEAST_IMAGES, RESAMPLES, Sampled, interval, paired_p, resample};
pub use boundary::{BoundaryDistance, BoundaryMeter, BoundaryScores, SurfaceMeter, SurfaceScores, SurfaceTolerance};
pub use calibration::{Calibration, CalibrationMeter, CalibrationSample, Reliability, temper};
pub use confusion::{Confusion, MetricError};
pub use confusion_file::ImageConfusions;
pub use evaluation::{ClassScores, Evaluation, MajorityScores, MiouBy, SelectedOn};
pub use file_error::FileError;
pub use fold::Fold;
pub use fraction::{
    BlockCounts, ClassFraction, Correction, Estimate, SpecimenFraction, Uncorrectable, fractions, fractions_by,
    specimen_fractions,
};
pub use further_score::FurtherScore;
pub use holm::holm;
pub use image_scores::ImageScores;
pub use intercepts::{Intercept, InterceptMeter};
pub use majority::majority;
pub use objects::{Distribution, Object, ObjectMeter, ObjectSummary};
pub use specimen_scores::{SpecimenScore, SpecimenScores};
pub use summary::Summary;
pub use wilcoxon::{LEAST_PAIRS, signed_rank};
