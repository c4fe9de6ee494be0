//! One training loop for all tasks: optimisers, schedules, checkpoints, history; and predictions of a trained model.

mod accumulation;
mod averaged_weights;
mod batches;
mod checkpoint;
mod embedding;
mod epoch_sums;
mod history;
pub mod inference;
pub mod memory;
pub mod norm;
pub mod one_cycle;
pub mod optimizer;
mod schedule;
mod task;
mod tensorboard;
mod training;
mod training_state;

pub use batches::Batches;
pub use embedding::embeddings;
pub use history::History;
pub use optimizer::OptimizerSpec;
pub use schedule::ScheduleSpec;
pub use task::{EpochEnd, Step, Task};
pub use tensorboard::EventFile;
pub use training::{Event, Outcome, Stopped, Training};
pub use training_state::Best;
