//! How a run stands, from its folder alone: for whoever looks from another terminal, or afterwards.

use super::run_folder::{FACTS, RunFacts};
use crate::cache::{Life, Store, life};
use crate::events::{Event, Progress, read_events};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One run, as its event log tells it.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// What it is.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// Whether it goes on.
    pub state: RunState,
    /// Seconds since 1970 of the last event.
    pub last_event_at: f64,
    /// Stages asked for.
    pub stages: usize,
    /// Of those, found in the cache.
    pub cached: usize,
    /// Of those, done by this run.
    pub finished: usize,
    /// Those at work, by name.
    pub running: BTreeMap<String, RunningStage>,
    /// Those that failed, by name.
    pub failed: BTreeMap<String, FailedStage>,
    /// Those not tried because another failed.
    pub skipped: usize,
    /// Its folder: logs and events.
    pub folder: PathBuf,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Its process lives.
    Running,
    /// It ended in order.
    Finished,
    /// Somebody stopped it.
    Interrupted,
    /// It was killed, or its machine went down.
    Died,
    /// Its log has no end, and this file system has no locks to ask.
    Unknown,
}

/// A stage at work.
#[derive(Clone, Debug, Serialize)]
pub struct RunningStage {
    /// Seconds since 1970.
    pub started_at: f64,
    /// How far it is, once it has said.
    pub progress: Option<Progress>,
    /// It waits for another run that is at it.
    pub waits: bool,
}

/// A stage that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailedStage {
    /// What went wrong.
    pub message: String,
    /// What it said itself.
    pub log: Option<String>,
}

/// Every run that this cache knows of, or every one of `experiment`, the latest first. The event log of each, which may be
/// long, is read when it is asked for.
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
                self.running.insert(stage, RunningStage { started_at: at, progress: None, waits: false });
            }
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
