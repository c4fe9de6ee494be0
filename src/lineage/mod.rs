//! Analysis of a finished experiment: its data sets, the origin of its numbers, the flow of images from training to
//! scores, and leaks.

mod data_set;
mod drawing;
mod findings;
mod flows;
mod trace;
mod trained_models;

pub use data_set::{DataSet, data_set, data_sets, remember, remembered};
pub use drawing::drawing;
pub use findings::{Finding, Findings};
pub use flows::{Flow, Flows, How, Side};
pub use trace::{DataFiles, Sample, StageTrace, Trace, cell, describe, point};
pub use trained_models::{ModelSource, complete_models, trains_model};
