//! What pretraining and fine-tuning share: the loop's events as progress, its outcome as files and telemetry.

use super::{Context, Progress, StageError};
use crate::experiment::SpannedTable;
use crate::train::{Event, History, Outcome, Task, Training};
use std::path::Path;
use toml::de::DeValue;

/// The part of a training's time that its checkpoints may take.
pub(super) const CHECKPOINT_SHARE: f64 = 0.05;

/// Trains `task`, telling the context; leaves history.csv and telemetry.
///
/// # Errors
/// As [`Training::run`]; a [`StageError`] that a task wrapped comes back as itself.
pub(super) fn train<T: Task>(task: &mut T, training: &Training, context: &mut Context) -> Result<Outcome, StageError> {
    let total = training.epochs;
    let mut done_before = 0;
    let mut watch = |event: Event| {
        let progress = |done, loss, note| Progress { done, total, unit: "epoch".into(), loss, note };
        context.progress(match event {
            Event::Message(note) => progress(done_before, None, Some(note)),
            Event::Step { done, step, steps, loss } => {
                progress(done, Some(loss), Some(format!("step {step} of {steps}")))
            }
            Event::Epoch { done, loss, note } => {
                done_before = done;
                progress(done, Some(loss), note)
            }
        });
    };
    let outcome = training.run(task, &mut watch).map_err(|error| match error.downcast::<StageError>() {
        Ok(error) => error,
        Err(error) => StageError::Failed(error),
    })?;
    write_history(&outcome.history, &context.out)?;
    context.telemetry.insert("training_seconds".into(), outcome.seconds.into());
    context.telemetry.insert("images_per_second".into(), outcome.images_per_second.into());
    context.telemetry.insert("resumed_epochs".into(), outcome.resumed_epochs.into());
    Ok(outcome)
}

fn write_history(history: &History, out: &Path) -> Result<(), StageError> {
    Ok(std::fs::write(out.join("history.csv"), history.to_csv()?)?)
}

/// Takes `key` out of `table`, to be parsed with its spans by code of its own, and leaves `stand_in` in its place.
pub(super) fn take<'i>(
    table: &mut SpannedTable<'i>,
    key: &str,
    stand_in: &'static str,
) -> Option<toml::Spanned<DeValue<'i>>> {
    let value = table.get_mut().get_mut(key)?;
    let stand_in = toml::Spanned::new(value.span(), DeValue::String(stand_in.into()));
    Some(std::mem::replace(value, stand_in))
}

/// Whether `table` has the key `key` in its table `inner`.
pub(super) fn has(table: &SpannedTable<'_>, inner: &str, key: &str) -> bool {
    let inner = table.get_ref().get(inner).and_then(|value| value.get_ref().as_table());
    inner.is_some_and(|inner| inner.contains_key(key))
}
