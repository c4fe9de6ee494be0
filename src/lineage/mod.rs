//! What is known of a finished experiment: its data sets, where its numbers come from, which images flow from training to
//! scores, and what that says about leaks.

mod data_set;
mod drawing;
mod findings;
mod flows;
mod trace;

pub use data_set::{DataSet, data_set, data_sets};
pub use drawing::drawing;
pub use findings::{Finding, Findings};
pub use flows::{Flow, Flows, How, Side};
pub use trace::{DataFiles, Sample, StageTrace, Trace, cell, describe, point};
