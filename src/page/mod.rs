//! Gathers what the page of an experiment shows from its plan, the cache and its last run. `crates/report` renders it.

mod data;
mod reports;
mod stages;
mod timeline;
mod write;

pub(crate) use write::{PageOutcome, PageProgress, write_page};
