//! What to do next, as a pure state machine: events in, decisions out; no threads, no clock, no I/O.

mod counts;
mod decisions;
mod duty;
mod state_machine;
#[cfg(test)]
mod tests;

pub(super) use decisions::{Decision, Event};
pub(super) use duty::{Duty, Resources, Role};
pub(super) use state_machine::Scheduler;
