//! Scores of a segmentation: intersection over union, Dice, pixel accuracy; a baseline to beat; means over seeds.
//!
//! All scores come from one [`Confusion`] matrix pooled over the pixels of every image of the set (not a mean of
//! scores per image): large images weigh more, and a class that one image lacks does no harm. A class that is neither
//! in the truth nor in the prediction has no score (`None`) and takes no part in a mean, as torchmetrics and the
//! original U-Net++ evaluation do it.

mod accuracy;
mod confusion;
mod dice;
mod evaluation;
mod iou;
mod majority;
mod summary;

pub use confusion::{Confusion, MetricError};
pub use evaluation::{ClassScores, Evaluation, ImageScores, MajorityScores, SelectedOn};
pub use majority::majority;
pub use summary::Summary;
