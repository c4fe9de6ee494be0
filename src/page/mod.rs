//! Gathers what the page of an experiment shows from its plan, the cache and its last run. `crates/report` renders it.

mod data;
mod models;
mod progress;
mod reports;
mod stages;
mod timeline;
mod write;

pub(crate) use progress::PageProgress;
pub(crate) use write::{PageOutcome, write_page};
