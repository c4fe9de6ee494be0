//! The interface between the training loop and what it trains.

use anyhow::Result;
use matssl_tensor::{Gradients, Parameters};
use std::collections::BTreeMap;

/// A training task, such as pretraining or fine-tuning.
///
/// All randomness of a task comes from `random::Stream` with the epoch and an index in its name. All state between
/// steps is in [`Task::parameters`]; untrained state is in buffers. So a resumed training has the same bits as one that
/// was never stopped.
pub trait Task {
    /// A batch, already on the device when the iterator returns it. Another thread makes it ahead of time.
    type Batch;

    /// The name of the loss in the history.
    const LOSS: &'static str;

    /// All trained parameters, and all other state.
    fn parameters(&self) -> &Parameters;

    /// Factors of the learning rate by parameter; 1 for all others.
    fn rate_factors(&self) -> BTreeMap<String, f64> {
        BTreeMap::new()
    }

    /// Number of batches in an epoch.
    fn steps_per_epoch(&self) -> u64;

    /// The batches of `epoch` (counted from 0) from step `from` on (0: all), in order.
    ///
    /// # Errors
    /// If the batches cannot be made.
    fn batches(&self, epoch: u64, from: u64) -> Result<Box<dyn Iterator<Item = Result<Self::Batch>>>>;

    /// Forward and backward over one batch.
    ///
    /// # Errors
    /// If shapes do not fit.
    fn step(&mut self, batch: Self::Batch) -> Result<Step>;

    /// Columns of the history for [`Step::measures`], averaged over an epoch's steps.
    fn measures(&self) -> Vec<String>;

    /// Columns of the history for [`EpochEnd::values`].
    fn columns(&self) -> Vec<String>;

    /// Called after the last step of `epoch` (counted from 0).
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
    /// One value for each of [`Task::measures`].
    pub measures: Vec<f64>,
    /// Number of images in the batch, for images per second.
    pub images: u64,
    /// Why the training cannot continue; the loop then stops with this text, the epoch and the step.
    pub fault: Option<String>,
}

/// The results at the end of an epoch.
#[derive(Default)]
pub struct EpochEnd {
    /// One value for each of [`Task::columns`]; `None` if not measured.
    pub values: Vec<Option<f64>>,
    /// Score of the epoch. If tasks return scores, the parameters of the best epoch are kept; the first among equals.
    pub score: Option<f64>,
    /// A note for the observer.
    pub note: Option<String>,
}
