//! `gc`: removes records that the user's rules select, then the objects that no remaining record names, and what ended
//! processes left.

mod collect;
mod find;
mod known_records;
mod removal;
mod rules;
mod sweep;

#[cfg(test)]
mod tests;

pub use collect::gc;
pub use rules::{Mode, Rules};
pub use sweep::{Dropped, Sweep};
