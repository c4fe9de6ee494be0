//! What would run: the DAG, each stage's key in topological order, hit or miss, and why.

mod ask_remote;
mod cache_state;
mod dag;
mod experiment_plan;
mod explanation;
mod forecast;
mod foreseen;
mod makespan;
mod reason;
mod resolve;
mod root_cause;

pub use cache_state::CacheState;
pub use dag::Dag;
pub use experiment_plan::Plan;
pub use explanation::Explanation;
pub use forecast::{Expected, Forecast, Total, unknown_kinds};
pub use foreseen::{Finding, Foreseen};
pub use makespan::makespan;
pub use reason::{Reason, reasons};
pub use resolve::{KeyedInput, KeyedStage, ResolvedInput, material};
pub use root_cause::{Because, FileChange, InputChange, RootCauses};
