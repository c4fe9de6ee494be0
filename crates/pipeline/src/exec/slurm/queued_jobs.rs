//! The jobs of an experiment that Slurm has, for `status` and `cancel`, from any terminal.

use super::super::job::Message;
use super::batch::Batch;
use super::commands;
use super::queue::State;
use crate::cache::Store;
use crate::events::ErrorClass;
use anyhow::{Result, anyhow};
use serde::Serialize;

/// A job that waits or runs.
#[derive(Clone, Debug, Serialize)]
pub struct QueuedJob {
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the stage.
    pub stage: String,
    /// Slurm's number, `123_4`.
    pub job: String,
    /// Whether it runs; else it waits.
    pub runs: bool,
    /// Why it waits, in Slurm's words.
    pub reason: String,
    #[serde(skip)]
    numbers: (u64, usize),
    #[serde(skip)]
    batch: Batch,
}

/// The jobs of this cache, or those of `experiment`, that wait or run. Empty where no run of this cache ever used Slurm.
///
/// # Errors
/// If Slurm does not answer, in its words.
pub fn queued_jobs(store: &Store, experiment: Option<&str>) -> Result<Vec<QueuedJob>> {
    let batches = Batch::all(store);
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let queue = commands::queue().map_err(|refusal| anyhow!("{}", refusal.words()))?;
    let mut jobs = Vec::new();
    for batch in batches {
        let Some(facts) = batch.facts().filter(|facts| experiment.is_none_or(|name| name == facts.experiment)) else {
            continue;
        };
        for task in batch.tasks() {
            let Some(entry) = queue.task(&batch.name(), task).filter(|entry| !matches!(entry.state, State::Ended(_)))
            else {
                continue;
            };
            let Ok(of) = batch.task(task) else { continue };
            jobs.push(QueuedJob {
                experiment: facts.experiment.clone(),
                stage: of.job.stage,
                job: format!("{}_{task}", entry.job),
                runs: entry.state == State::Running,
                reason: entry.reason.clone(),
                numbers: (entry.job, task),
                batch: batch.clone(),
            });
        }
    }
    Ok(jobs)
}

/// Cancels `jobs`.
///
/// # Errors
/// If Slurm refuses or does not answer, in its words, or the cache cannot be written.
pub fn cancel_jobs(jobs: &[QueuedJob]) -> Result<()> {
    let numbers: Vec<_> = jobs.iter().map(|job| job.numbers).collect();
    commands::cancel(&numbers, false).map_err(|refusal| anyhow!("{}", refusal.words()))?;
    for job in jobs.iter().filter(|job| job.batch.last_message(job.numbers.1).is_none()) {
        let message = format!("Slurm job {} was cancelled", job.job);
        job.batch.end(job.numbers.1, &Message::Failed { class: ErrorClass::Stopped, message })?;
    }
    Ok(())
}
