//! Status of a run, read from its folder: from another terminal, or after the run.

use super::run_folder::{FACTS, RunFacts};
use crate::cache::{Life, Store, life};
use crate::events::{Event, Progress, read_events};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Status of one run, from its event log.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// Facts about the run.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// State of the run.
    pub state: RunState,
    /// Time of the last event in seconds since 1970.
    pub last_event_at: f64,
    /// Number of requested stages.
    pub stages: usize,
    /// Of these, found in the cache.
    pub cached: usize,
    /// Of these, computed by this run.
    pub finished: usize,
    /// Running stages, by name.
    pub running: BTreeMap<String, RunningStage>,
    /// Failed stages, by name.
    pub failed: BTreeMap<String, FailedStage>,
    /// Number of stages skipped because another failed.
    pub skipped: usize,
    /// The run's folder, with logs and events.
    pub folder: PathBuf,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Its process is alive.
    Running,
    /// It finished.
    Finished,
    /// A user or a signal stopped it.
    Interrupted,
    /// It was killed, or its machine failed.
    Died,
    /// Unknown: its log has no end, and this file system has no locks to test.
    Unknown,
}

/// A running stage.
#[derive(Clone, Debug, Serialize)]
pub struct RunningStage {
    /// Start in seconds since 1970.
    pub started_at: f64,
    /// Its last reported progress.
    pub progress: Option<Progress>,
    /// Waiting for another run of this stage.
    pub waits: bool,
    /// Its job of a batch system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<StageJob>,
}

/// The job of a stage.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageJob {
    /// The batch system's number; empty before it is known.
    pub number: String,
    /// The node that it runs on; `None` while it waits in the queue.
    pub host: Option<String>,
}

/// A stage that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailedStage {
    /// What went wrong.
    pub message: String,
    /// Path of its log.
    pub log: Option<String>,
}

/// All runs in this cache, or those of `experiment`, latest first. The event log of a run is read when the iterator
/// reaches it.
pub fn runs(store: &Store, experiment: Option<&str>) -> impl Iterator<Item = RunStatus> {
    let folders = fs::read_dir(store.root().join("runs")).into_iter().flatten().flatten();
    let facts =
        |folder: &Path| -> Option<RunFacts> { serde_json::from_slice(&fs::read(folder.join(FACTS)).ok()?).ok() };
    let mut runs: Vec<(RunFacts, PathBuf)> = folders
        .filter_map(|folder| Some((facts(&folder.path())?, folder.path())))
        .filter(|(facts, _)| experiment.is_none_or(|experiment| facts.experiment == experiment))
        .collect();
    runs.sort_by(|(a, _), (b, _)| b.started_at.cmp(&a.started_at).then(b.process.cmp(&a.process)));
    runs.into_iter().map(|(facts, folder)| read(facts, &folder))
}

/// The run of this folder.
fn read(facts: RunFacts, folder: &Path) -> RunStatus {
    let started = facts.started_at as f64;
    let mut status = RunStatus {
        facts,
        state: match life(folder) {
            Life::Alive => RunState::Running,
            Life::Ended => RunState::Died,
            Life::Unknown => RunState::Unknown,
        },
        last_event_at: started,
        stages: 0,
        cached: 0,
        finished: 0,
        running: BTreeMap::new(),
        failed: BTreeMap::new(),
        skipped: 0,
        folder: folder.to_owned(),
    };
    for line in read_events(folder) {
        status.last_event_at = line.seconds();
        status.take(line.event);
    }
    if status.state != RunState::Running {
        status.running.clear();
    }
    status
}

impl RunStatus {
    fn take(&mut self, event: Event) {
        let at = self.last_event_at;
        match event {
            Event::RunStarted { stages, .. } => self.stages = stages,
            Event::StageHit { .. } => self.cached += 1,
            Event::StageStarted { stage, .. } => {
                self.running.insert(stage, RunningStage { started_at: at, progress: None, waits: false, job: None });
            }
            Event::StageSubmitted { stage, .. } => {
                let job = Some(StageJob::default());
                self.running.insert(stage, RunningStage { started_at: at, progress: None, waits: false, job });
            }
            Event::StageQueued { stage, job, .. } => {
                self.change(&stage, |stage| stage.job = Some(StageJob { number: job, host: None }));
            }
            Event::StageRuns { stage, host } => self.change(&stage, |stage| {
                let job = stage.job.get_or_insert_default();
                (job.host, stage.started_at) = (Some(host), at);
            }),
            Event::StageRequeued { stage, .. } => self.change(&stage, |stage| {
                stage.job.get_or_insert_default().host = None;
            }),
            Event::StageWithdrawn { stage } => drop(self.running.remove(&stage)),
            Event::StageWaits { stage } => self.change(&stage, |stage| stage.waits = true),
            Event::StageBegins { stage } => self.change(&stage, |stage| stage.waits = false),
            Event::StageProgress { stage, progress } => self.change(&stage, |stage| stage.progress = Some(progress)),
            Event::StageRetried { stage, .. } => drop(self.running.remove(&stage)),
            Event::StageFinished { stage, .. } => {
                self.running.remove(&stage);
                self.finished += 1;
            }
            Event::StageFailed { stage, message, log, .. } => {
                self.running.remove(&stage);
                self.failed.insert(stage, FailedStage { message, log });
            }
            Event::StagesRefused { stages, message, .. } => {
                let failed =
                    stages.into_iter().map(|stage| (stage, FailedStage { message: message.clone(), log: None }));
                self.failed.extend(failed);
            }
            Event::StageSkipped { .. } => self.skipped += 1,
            Event::Warning { .. } | Event::GpuWaits { .. } => {}
            Event::RunFinished { interrupted, .. } => {
                self.state = if interrupted { RunState::Interrupted } else { RunState::Finished };
            }
        }
    }

    fn change(&mut self, stage: &str, change: impl FnOnce(&mut RunningStage)) {
        if let Some(running) = self.running.get_mut(stage) {
            change(running);
        }
    }
}
