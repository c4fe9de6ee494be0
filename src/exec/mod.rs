//! From a plan to finished stages: a pure scheduler, an executor, and the worker process that does one stage.

mod event_log;
mod export;
mod job;
mod local;
mod provenance;
mod run;
mod scheduler;
mod worker;

pub use event_log::Event;
pub use export::export;
pub use job::{ErrorClass, Job, Message};
pub use run::{Failure, Options, Outcome, Signals, StageOutcome, run};
pub use worker::work;
