//! Checks of a GPU, from its libraries to small networks, for the first use of a machine. The command line runs each
//! step in its own process, because a step may crash or hang.

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
mod steps;
#[cfg(test)]
mod tests;

pub use step::Step;
pub use steps::{STEPS, step};
