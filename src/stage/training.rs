//! Runs the training loop for pretraining and fine-tuning: reports its progress, writes its outcome as files and
//! telemetry.

use super::artifacts::HistoryFile;
use super::{Context, Progress, StageError};
use crate::experiment::SpannedTable;
use crate::train::{Event, EventFile, Outcome, Stopped, Task, Training};

/// Maximum fraction of the training time that checkpoints may take.
pub(super) const CHECKPOINT_SHARE: f64 = 0.05;

/// The default of a parameter that is on by default.
pub(super) fn yes() -> bool {
    true
}

/// Whether such a parameter has its default and is therefore left out of keys.
pub(super) fn is_yes(value: &bool) -> bool {
    *value
}

/// Trains `task` and writes history.csv and telemetry. Reports progress to the context and, if configured, to
/// TensorBoard.
///
/// # Errors
/// As [`Training::run`]; a [`StageError`] that a task wrapped comes back as itself.
pub(super) fn train<T: Task>(task: &mut T, training: &Training, context: &mut Context) -> Result<Outcome, StageError> {
    let total = training.epochs;
    let mut done_before = 0;
    let on_gpu = !task.parameters().device().is_cpu();
    let mut curves = context.tensorboard.clone().map(EventFile::new);
    let mut observe = |event: Event<'_>| {
        let progress = |done, loss, note| Progress { done, total, unit: "epoch".into(), loss, note };
        let history = match event {
            Event::Message(note) => return context.progress(progress(done_before, None, Some(note))),
            Event::Step { done, step, steps, loss } => {
                return context.progress(progress(done, Some(loss), Some(format!("step {step} of {steps}"))));
            }
            Event::Started { history } => history,
            Event::Epoch { done, loss, note, waited, history } => {
                done_before = done;
                let note = if on_gpu { Some(with_wait(note, waited)) } else { note };
                context.progress(progress(done, Some(loss), note));
                history
            }
        };
        if let Some(Err(error)) = curves.as_mut().map(|curves| curves.follow(history)) {
            curves = None;
            let note = format!("TensorBoard shows no further epochs: its event file cannot be written: {error:#}");
            context.progress(progress(done_before, None, Some(note)));
        }
    };
    let outcome = training.run(task, &mut observe).map_err(|error| match error.downcast::<StageError>() {
        Ok(error) => error,
        Err(error) => error
            .downcast::<Stopped>()
            .map_or_else(StageError::Failed, |stopped| StageError::Stopped(stopped.to_string())),
    })?;
    HistoryFile::write(&outcome.history, &context.out)?;
    context.telemetry.insert("training_seconds".into(), outcome.seconds.into());
    context.telemetry.insert("images_per_second".into(), outcome.images_per_second.into());
    context.telemetry.insert("data_wait_share".into(), outcome.data_wait_share.into());
    context.telemetry.insert("resumed_epochs".into(), outcome.resumed_epochs.into());
    context.telemetry.insert("resumed_steps".into(), outcome.resumed_steps.into());
    if outcome.failed_checkpoints > 0 {
        context.telemetry.insert("failed_checkpoints".into(), outcome.failed_checkpoints.into());
    }
    Ok(outcome)
}

/// The progress line of an epoch on a GPU: `note` and the fraction of time spent waiting for data.
fn with_wait(note: Option<String>, waited: f64) -> String {
    let wait = format!("waiting for data {:.1} % of the time (upper bound on GPU idle)", 100.0 * waited);
    note.map_or_else(|| wait.clone(), |note| format!("{note}; {wait}"))
}

/// Whether `table` has the key `key` in its table `inner`.
pub(super) fn has(table: &SpannedTable<'_>, inner: &str, key: &str) -> bool {
    let inner = table.get_ref().get(inner).and_then(|value| value.get_ref().as_table());
    inner.is_some_and(|inner| inner.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::with_wait;

    #[test]
    fn the_line_of_an_epoch_keeps_the_note_of_the_task() {
        let wait = "waiting for data 12.5 % of the time (upper bound on GPU idle)";
        assert_eq!(with_wait(None, 0.125), wait);
        assert_eq!(with_wait(Some("mIoU 0.5".into()), 0.125), format!("mIoU 0.5; {wait}"));
    }
}
