//! Scores of a segmentation: intersection over union, Dice, pixel accuracy; a baseline to beat; means over seeds,
//! intervals and tests.
//!
//! Unless [`Averaging`] says otherwise, scores come from one [`Confusion`] matrix pooled over the pixels of every image
//! of the set (not a mean of scores per image): large images weigh more, and a class that one image lacks does no harm. A class that is neither
//! in the truth nor in the prediction has no score (`None`) and takes no part in a mean, as torchmetrics and the
//! original U-Net++ evaluation do it.

mod accuracy;
mod averaging;
mod bootstrap;
mod confusion;
mod dice;
mod evaluation;
mod holm;
mod iou;
mod majority;
mod summary;
mod wilcoxon;

pub use averaging::{AUTHORS_BATCH, Averaging, Overlap};
pub use bootstrap::{LEAST_IMAGES, RESAMPLES, Sampled, interval, paired_p, resample};
pub use confusion::{Confusion, MetricError};
pub use evaluation::{ClassScores, Evaluation, ImageScores, MajorityScores, MiouBy, SelectedOn};
pub use holm::holm;
pub use majority::majority;
pub use summary::Summary;
pub use wilcoxon::{LEAST_PAIRS, signed_rank};
