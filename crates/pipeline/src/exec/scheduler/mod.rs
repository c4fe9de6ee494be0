//! The scheduler, a pure state machine: events in, decisions out; no threads, no clock, no I/O.

mod counts;
mod decisions;
mod requirements;
mod state_machine;
#[cfg(test)]
mod tests;

pub(super) use decisions::{Decision, Event};
pub(super) use requirements::{Requirements, Resources, Role};
pub(super) use state_machine::Scheduler;
