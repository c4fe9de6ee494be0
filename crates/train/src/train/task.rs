//! The interface between the training loop and what it trains.

use anyhow::Result;
use matssl_tensor::{Gradients, Parameters};

/// Something to train: pretraining and fine-tuning are two of them.
///
/// All randomness of a task comes from `random::Stream` with the epoch and an index in its name, and all state that
/// one step leaves to the next lies in [`Task::parameters`], as buffers where it is not trained. That makes a resumed
/// training the same bits as one that was never stopped.
pub trait Task {
    /// A batch, on the device when the iterator returns it. It is made ahead, on another thread.
    type Batch;

    /// The name of the loss in the history.
    const LOSS: &'static str;

    /// All trained parameters, and all other state.
    fn parameters(&self) -> &Parameters;

    /// Number of batches in an epoch.
    fn steps_per_epoch(&self) -> u64;

    /// The batches of `epoch` (counted from 0) from step `from` on (0: all), in order.
    ///
    /// # Errors
    /// If they cannot be made.
    fn batches(&self, epoch: u64, from: u64) -> Result<Box<dyn Iterator<Item = Result<Self::Batch>>>>;

    /// Forward and backward over one batch.
    ///
    /// # Errors
    /// If shapes do not fit.
    fn step(&mut self, batch: Self::Batch) -> Result<Step>;

    /// Columns of the history for [`Step::measures`], which are averaged over an epoch's steps.
    fn measures(&self) -> Vec<String>;

    /// Columns of the history for [`EpochEnd::values`].
    fn columns(&self) -> Vec<String>;

    /// Called after the last step of `epoch` (counted from 0) with the parameters as they are then.
    ///
    /// # Errors
    /// If validation fails.
    fn end_of_epoch(&mut self, epoch: u64) -> Result<EpochEnd>;
}

/// The result of a step.
pub struct Step {
    /// The batch's loss.
    pub loss: f64,
    /// Its gradients.
    pub gradients: Gradients,
    /// One for each of [`Task::measures`].
    pub measures: Vec<f64>,
    /// Images in the batch, for the images a second.
    pub images: u64,
    /// Why the training cannot go on, if so: the loop stops with this text, the epoch and the step.
    pub fault: Option<String>,
}

/// The results at the end of an epoch.
#[derive(Default)]
pub struct EpochEnd {
    /// One for each of [`Task::columns`]; `None` for what was not measured.
    pub values: Vec<Option<f64>>,
    /// If there is one, the parameters of the epoch with the highest score are kept; of equal scores the first.
    pub score: Option<f64>,
    /// A note for the observer.
    pub note: Option<String>,
}
