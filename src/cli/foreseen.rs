//! What stages foresee of their runs, as text for `data`, `plan` and the start of a run.

use super::open_experiment::OpenExperiment;
use super::outcome::{Ending, Stop};
use crate::cache::Record;
use crate::lineage;
use crate::plan::{CacheState, Finding, Foreseen};
use crate::stage::{Prospect, StageError, images};
use serde::Serialize;
use std::collections::BTreeMap;

/// One problem or warning, with the stages that have it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    /// The first stages, and the number of the others.
    #[serde(skip)]
    pub(super) names: String,
    /// Names of the stages.
    stages: Vec<String>,
    message: String,
}

impl Line {
    /// `segment@0, segment@1, segment@2 and 7 more: data set steel has no …`.
    pub(super) fn text(&self) -> String {
        format!("{}: {}", self.names, self.message)
    }
}

/// What must fail, and what is suspicious, before anything runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Foresights {
    pub(super) problems: Vec<Line>,
    pub(super) warnings: Vec<Line>,
}

impl Foresights {
    /// Of the stages that `judged` marks. Of data sets that are not in the cache, `given` says what they hold, or what `data`
    /// has found out earlier.
    pub(super) fn of(experiment: &OpenExperiment, judged: &[bool], given: &BTreeMap<usize, Prospect>) -> Foresights {
        let OpenExperiment { plan, store, places, .. } = experiment;
        let mut given = given.clone();
        let unknown: Vec<usize> = (0..plan.states.len()).filter(|stage| !given.contains_key(stage)).collect();
        for stage in unknown {
            if let Some(manifest) = lineage::remembered(plan, stage, store) {
                given.insert(stage, images(&manifest));
            }
        }
        let finished = |stage: usize| -> Option<&Record> {
            match &plan.states[stage] {
                CacheState::Hit(record) => Some(record),
                _ => None,
            }
        };
        let Foreseen { problems, warnings } = plan.foresee(judged, finished, &given, store, places);
        let line = |Finding { stages, text }: Finding| Line {
            names: plan.names(&stages),
            stages: stages.iter().map(|&stage| plan.experiment.instances[stage].name.clone()).collect(),
            message: text,
        };
        Foresights {
            problems: problems.into_iter().map(line).collect(),
            warnings: warnings.into_iter().map(line).collect(),
        }
    }

    /// Adds the weight files that exist but do not fit, of the stages that `judged` marks.
    pub(super) fn with_weights(mut self, experiment: &OpenExperiment, judged: &[bool]) -> Foresights {
        let plan = &experiment.plan;
        let mut found: Vec<(String, Vec<usize>)> = Vec::new();
        for (stage, instance) in plan.experiment.instances.iter().enumerate().filter(|(stage, _)| judged[*stage]) {
            if matches!(plan.states[stage], CacheState::Unavailable(_)) {
                continue;
            }
            let Err(StageError::BadData(text)) = instance.stage.ready(&experiment.places) else { continue };
            match found.iter_mut().find(|(known, _)| *known == text) {
                Some((_, stages)) => stages.push(stage),
                None => found.push((text, vec![stage])),
            }
        }
        let name = |&stage: &usize| plan.experiment.instances[stage].name.clone();
        self.problems.extend(found.into_iter().map(|(message, stages)| Line {
            names: plan.names(&stages),
            stages: stages.iter().map(name).collect(),
            message,
        }));
        self
    }

    /// The refusal of stages that must fail; `None` if there are none.
    pub(super) fn stop(&self) -> Option<Stop> {
        let message: String = self.problems.iter().map(|line| format!("error: {}\n", line.text())).collect();
        (!message.is_empty()).then(|| Stop::new(Ending::BadData, message))
    }
}
