//! Refuses stages that must fail, as soon as all data sets are checked and before any training starts.

use super::super::outcome::{Failure, StageOutcome};
use super::Run;
use crate::events::{ErrorClass, Event};
use crate::plan::{CacheState, Finding};
use std::collections::{BTreeMap, BTreeSet};

impl Run<'_> {
    /// Asks the stages that have not started what they foresee. Those that must fail have failed then; of several reasons
    /// the first counts.
    pub(super) fn refuse_what_must_fail(&mut self) {
        let is_cached =
            |stage: usize| matches!(self.plan.states[stage], CacheState::Hit(_)) && !self.options.forced[stage];
        let judged: Vec<bool> =
            (0..self.plan.states.len()).map(|stage| self.scheduler.is_to_start(stage) && !is_cached(stage)).collect();
        let finished = |stage: usize| match (&self.plan.states[stage], self.record(stage)) {
            (CacheState::Hit(record), None) => Some(record.as_ref()),
            (_, record) => record,
        };
        let foreseen = self.plan.foresee(&judged, finished, &BTreeMap::new(), self.store, self.places);
        for Finding { stages, text } in foreseen.warnings {
            self.warn(format!("{}: {text}", self.plan.names(&stages)));
        }
        let refused: BTreeSet<usize> = foreseen.problems.iter().flat_map(|problem| &problem.stages).copied().collect();
        let skipped = self.scheduler.refuse(&refused.into_iter().collect::<Vec<_>>());
        let class = ErrorClass::BadData;
        for Finding { stages, text: message } in foreseen.problems {
            let names = stages.iter().map(|&stage| self.name(stage)).collect();
            self.emit(Event::StagesRefused { stages: names, class, message: message.clone() });
            for stage in stages {
                if !matches!(self.outcomes[stage], StageOutcome::Failed(_)) {
                    let failure = Failure { class, message: message.clone(), key: None, log: None };
                    self.outcomes[stage] = StageOutcome::Failed(failure);
                }
            }
        }
        for (stage, because_of) in skipped {
            self.emit(Event::StageSkipped { stage: self.name(stage), because_of: self.name(because_of) });
        }
    }
}
