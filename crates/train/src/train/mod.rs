//! One training loop for all tasks: optimisers, schedules, checkpoints, history; and what a trained model predicts.

mod accumulation;
mod averaged_weights;
mod checkpoint;
mod history;
pub mod inference;
pub mod memory;
pub mod norm;
pub mod optimizer;
pub mod schedule;
mod state;
mod task;
mod tensorboard;
mod training;

pub use history::History;
pub use optimizer::OptimizerSpec;
pub use schedule::ScheduleSpec;
pub use state::Best;
pub use task::{EpochEnd, Step, Task};
pub use tensorboard::EventFile;
pub use training::{Event, Outcome, Stopped, Training};
