//! What becomes of jobs that have ended without a last message.

use super::super::job::Message;
use super::super::log_tail::last_lines;
use super::super::notice::{Notice, Report};
use super::batch::Batch;
use super::claim::Owner;
use super::commands;
use super::jobs::Jobs;
use super::request::Request;
use super::tracked::{Tracked, Verdict};
use crate::events::ErrorClass;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How often a stage is submitted again because a node failed or its job was taken.
const MOST_TAKEN: u32 = 20;

impl Jobs {
    /// Acts on what the queue says of tasks that have left no last message.
    pub(super) fn judge(&mut self, now: Instant) {
        let visibility = self.settings.visibility;
        let mut rest = Vec::new();
        for mut task in std::mem::take(&mut self.tracked) {
            let Some(batch) = self.batches[task.batch].clone() else { continue };
            if task.awaited.is_some() {
                rest.push(task);
                continue;
            }
            let name = batch.name();
            let mut entry = self.queue.task(&name, task.task).cloned();
            let mut verdict = task.judge(entry.as_ref(), now, visibility);
            if verdict == Verdict::Lost && entry.is_none() {
                // The controller has forgotten it; the accounting may know more.
                let job = task.entry.as_ref().map(|entry| entry.job).or_else(|| batch.submitted());
                entry = job.and_then(commands::accounted).and_then(|queue| queue.task(&name, task.task).cloned());
                if entry.is_some() {
                    verdict = task.judge(entry.as_ref(), now, visibility);
                }
            }
            // Where no control group counts memory, Slurm says what it did in the job's log only.
            if matches!(verdict, Verdict::Lost | Verdict::Cancelled) && words_on_memory(&batch.log(task.task)).is_some()
            {
                verdict = Verdict::OutOfMemory;
            }
            // Another run that shares the job may have taken its last message and removed the batch.
            let key = task.request.key;
            let record = match verdict {
                Verdict::Lost if !task.request.job.force => self.store.find(key).map(Arc::new),
                _ => None,
            };
            match verdict {
                Verdict::Wait => rest.push(task),
                _ if record.is_some() => {
                    let (id, message) = (task.request.id, Message::Finished { key, ran: false, seconds: 0.0 });
                    self.close(&task);
                    let _ = self.reports.send(Report { id, message, record }.into());
                }
                _ => self.end(task, &batch, verdict),
            }
        }
        self.tracked = rest;
        self.forget_ended_batches();
        self.submit_all();
    }

    /// Reports a task that ended without a last message, or submits its stage again.
    fn end(&mut self, task: Tracked, batch: &Batch, verdict: Verdict) {
        self.close(&task);
        let (id, job) = (task.request.id, task.name(batch.submitted()));
        let needs = self.needs(&task.request);
        let failed = |class, message| Message::Failed { class, message };
        // So that nobody waits for its last message, and `gc` keeps nothing for it.
        let over = failed(ErrorClass::Lost, format!("{job} ended without a result"));
        if let Err(error) = batch.end(task.task, &over) {
            self.warn(format!("{error:#}"));
        }
        match verdict {
            Verdict::Wait => {}
            Verdict::Withdrawn => drop(self.reports.send(Notice::Withdrawn(id))),
            Verdict::Again(why) if task.request.taken < MOST_TAKEN => {
                self.tell(id, Message::Requeued { why: format!("{job}: {why}") });
                self.waiting.push(Request { taken: task.request.taken + 1, ..task.request });
            }
            Verdict::Again(why) => {
                self.tell(id, failed(ErrorClass::Failed, format!("{job}: {why}, {MOST_TAKEN} times in a row")));
            }
            Verdict::WallTime => {
                let since = batch.facts().map(|facts| SystemTime::UNIX_EPOCH + Duration::from_secs(facts.made_at));
                let checkpoint = self.store.work(task.request.key).newest_checkpoint();
                if task.request.trains && checkpoint.zip(since).is_some_and(|(newest, since)| newest > since) {
                    self.tell(id, Message::Requeued { why: format!("{job}: its wall time was over") });
                    self.waiting.push(task.request);
                } else {
                    let message =
                        format!("{job} needed more than its wall time; raise `time` in the site file's [slurm]");
                    self.tell(id, failed(ErrorClass::TimedOut, message));
                }
            }
            Verdict::OutOfMemory => {
                let asked = needs.memory_mib.map_or("Slurm's default".to_owned(), |mib| format!("{mib} MiB"));
                let used = task.peak_mib.map(|mib| format!(", its worker used at least {mib} MiB")).unwrap_or_default();
                let words =
                    words_on_memory(&batch.log(task.task)).map(|words| format!(" ({words})")).unwrap_or_default();
                let message = format!(
                    "{job} was killed because memory ran out: it had asked for {asked}{used}{words}; set the stage's \
                     `memory = \"…\"`, or reduce batch_size or crop_size"
                );
                self.tell(id, failed(ErrorClass::OutOfMemory, message));
            }
            Verdict::Cancelled => {
                let message = format!("{job} was cancelled in Slurm, not by this run");
                self.tell(id, failed(ErrorClass::Failed, message));
            }
            Verdict::Lost => {
                self.tell(id, over);
            }
        }
    }

    /// Ends the claim of a task that is over.
    pub(super) fn close(&self, task: &Tracked) {
        let key = task.request.key;
        if self.store.find(key).is_some() {
            self.claims.forget(key);
        } else if let Some(batch) = &self.batches[task.batch] {
            self.claims.end(key, &Owner { batch: batch.name(), task: task.task });
        }
    }

    /// Removes batches of which all tasks have ended well and that nobody waits for. Others stay for their logs, until `gc`.
    pub(super) fn forget_ended_batches(&mut self) {
        let live: BTreeSet<usize> = self.tracked.iter().map(|task| task.batch).collect();
        for (_, slot) in self.batches.iter_mut().enumerate().filter(|(index, _)| !live.contains(index)) {
            if let Some(batch) = slot.take()
                && batch.tasks().iter().all(|&task| matches!(batch.last_message(task), Some(Message::Finished { .. })))
            {
                batch.remove();
            }
        }
    }
}

/// What Slurm says in a job's log of memory that ran out.
fn words_on_memory(log: &Path) -> Option<String> {
    const WORDS: [&str; 3] = ["exceeded memory limit", "oom-kill event", "oom_kill event"];
    let line = last_lines(log).into_iter().rev().find(|line| WORDS.iter().any(|words| line.contains(words)))?;
    Some(line.rsplit("error: ").next().unwrap_or(&line).to_owned())
}
