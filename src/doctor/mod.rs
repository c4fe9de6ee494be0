//! Checks of a GPU, from the smallest thing to the largest, so that a first run on a machine tells what works and what does
//! not. Each step is made to run in a process of its own: it may crash or hang.

mod batches;
mod candle;
mod convolutions;
mod driver;
mod launch;
mod networks;
mod numbers;
mod operations;
mod plans;
mod step;
#[cfg(test)]
mod tests;

pub use step::{STEPS, Step, step};
