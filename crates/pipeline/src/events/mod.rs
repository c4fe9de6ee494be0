//! The event log of a run: what can happen in a run, one writer, and its readers.

mod error_class;
mod event;
mod log;
mod progress;
mod stage_keys;

pub use error_class::ErrorClass;
pub use event::Event;
pub(crate) use log::event_log_path;
pub use log::{EventLog, LoggedEvent, event_schema, read_events};
pub use progress::Progress;
pub(crate) use stage_keys::{EventKind, read_stage_keys};
