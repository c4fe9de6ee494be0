//! Whether the output of a stage is in the cache.

use super::super::notice::Looked;
use super::super::remote_lookups::Lookup;
use super::super::scheduler;
use super::{Run, StageOutcome};
use crate::cache::{Gate, Key, KeyMaterial, Record};
use crate::events::{ErrorClass, Event};
use crate::plan::{CacheState, KeyedInput, ResolvedInput, material};
use crate::stage::StageError;
use anyhow::Result;
use std::sync::Arc;
use tracing::{Level, debug};

impl Run<'_> {
    pub(super) fn inputs_of(&self, stage: usize) -> Result<Vec<ResolvedInput>> {
        let instances = &self.plan.experiment.instances;
        let inputs = instances[stage].inputs.iter();
        inputs
            .map(|input| match self.record(input.instance) {
                Some(record) => Ok(ResolvedInput::new(
                    instances[stage].stage.as_ref(),
                    input,
                    &instances[input.instance],
                    record,
                    self.places,
                )),
                None => {
                    anyhow::bail!("{} was looked up before its input {}", self.name(stage), self.name(input.instance))
                }
            })
            .collect()
    }

    /// The record of a stage, whether it is written yet or not.
    pub(super) fn record(&self, stage: usize) -> Option<&Record> {
        match &self.outcomes[stage] {
            StageOutcome::Done(record) => Some(record),
            _ => self.computed[stage].as_deref(),
        }
    }

    /// Looks up the output of `stage`, whose inputs are finished.
    pub(super) fn look(&mut self, stage: usize) {
        if !self.options.forced[stage]
            && let Some(record) = self.planned_hit(stage)
        {
            if self.gate.is_some() {
                return self.hit(stage, record);
            }
            // `gc` may have run since: look again while the gate blocks it, until the hit is in the log.
            let _gate = Gate::shared(self.store).ok();
            if self.store.find(record.key).is_some() {
                return self.hit(stage, record);
            }
        }
        match self.material(stage) {
            Err(error) => self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
            Ok(material) => {
                let key = material.key();
                let found = !self.options.forced[stage] && self.store.find(key).is_some();
                // Look again while the gate blocks `gc`, until the hit is in the log.
                let _gate = if found && self.gate.is_none() { Gate::shared(self.store).ok() } else { None };
                match if found { self.store.find(key) } else { None } {
                    Some(record) => self.hit(stage, Arc::new(record)),
                    None => {
                        self.log_reason(stage);
                        self.materials[stage] = Some(material);
                        match self.remote_lookup(stage, key) {
                            Some(lookup) => self.remote_lookups.start(lookup),
                            None => drop(self.scheduler.on(scheduler::Event::Miss(stage))),
                        }
                    }
                }
            }
        }
    }

    /// What the remote is asked for before `stage` runs: its record, unless that was asked for, and inputs that only the
    /// remote has. `None` if nothing.
    fn remote_lookup(&self, stage: usize, key: Key) -> Option<Lookup> {
        if !self.store.has_remote() {
            return None;
        }
        let key = Some(key).filter(|key| !self.options.forced[stage] && !self.store.was_remote_asked(*key));
        let inputs = self.instance(stage).inputs.iter().filter_map(|input| self.record(input.instance));
        let inputs: Vec<_> = inputs.filter_map(|record| self.store.only_remote(record.key)).collect();
        (key.is_some() || !inputs.is_empty()).then_some(Lookup { stage, key, inputs })
    }

    /// Goes on with a stage for which the remote was asked.
    pub(super) fn looked(&mut self, looked: Looked) {
        let Looked { stage, outcome, gate } = looked;
        match outcome {
            Ok(Some(record)) => self.hit(stage, record),
            Ok(None) => drop(self.scheduler.on(scheduler::Event::Miss(stage))),
            Err(message) => self.fail(stage, ErrorClass::Failed, message, None),
        }
        // `gc` may pass: the hit is in the log.
        drop(gate);
    }

    /// The record that the plan found, if no input has changed since.
    fn planned_hit(&self, stage: usize) -> Option<Arc<Record>> {
        let CacheState::Hit(record) = &self.plan.states[stage] else { return None };
        let mut inputs = self.plan.dag.inputs(stage);
        let unchanged = inputs.all(|input| match (&self.plan.states[input], &self.outcomes[input]) {
            (CacheState::Hit(planned), StageOutcome::Done(now)) => planned.content == now.content,
            _ => false,
        });
        unchanged.then(|| record.clone())
    }

    pub(super) fn material(&self, stage: usize) -> Result<KeyMaterial, StageError> {
        let inputs = self.inputs_of(stage)?;
        material(self.instance(stage).into(), inputs.iter().map(KeyedInput::from), self.store, self.places)
    }

    fn hit(&mut self, stage: usize, record: Arc<Record>) {
        let event = Event::StageHit { stage: self.name(stage), key: record.key };
        self.outcomes[stage] = StageOutcome::Done(record);
        self.scheduler.on(scheduler::Event::Hit(stage));
        self.emit(event);
    }

    /// Logs why `stage` runs, for bug reports.
    fn log_reason(&self, stage: usize) {
        if tracing::enabled!(Level::DEBUG) {
            let (forced, why) = (self.options.forced[stage], self.plan.explain(stage, self.store, &self.last_keys));
            debug!(stage = %self.name(stage), forced, ?why, "not in the cache: runs");
        }
    }
}
