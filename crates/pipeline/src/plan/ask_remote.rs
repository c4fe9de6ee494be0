//! A plan and the cache that several machines share.

use super::{CacheState, Plan};
use crate::cache::{Key, Record, Store};
use crate::stage::Places;
use anyhow::Result;
use std::sync::Arc;

impl Plan {
    /// Looks for what is not in the cache in the remote behind `store`: level by level, because the key of a stage is known
    /// when its inputs are. Records are found now; their objects stay where they are.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn ask_remote(mut self, store: &Store, places: &Places) -> Result<Plan> {
        if !store.has_remote() {
            return Ok(self);
        }
        while store.ask_remote(&self.missed_keys()) > 0 {
            self = Plan::new(self.experiment, store, places, None)?;
        }
        Ok(self)
    }

    fn missed_keys(&self) -> Vec<Key> {
        let missed = |state: &CacheState| match state {
            CacheState::Miss { key, .. } => Some(*key),
            _ => None,
        };
        self.states.iter().filter_map(missed).collect()
    }

    /// As [`Plan::ask_remote`], and brings the objects that a run of the `wanted` stages will read: the inputs of those that
    /// must run (also those that are `forced`), and the reports. What cannot be had counts as not cached, so its stage runs.
    ///
    /// # Errors
    /// If the cache cannot be read or written.
    pub fn fetch_for_run(self, store: &Store, places: &Places, wanted: &[bool], forced: &[bool]) -> Result<Plan> {
        let mut plan = self.ask_remote(store, places)?;
        // Ends, because the remote is asked for each record once.
        while !store.fetch(&plan.read_by_run(store, wanted, forced))?.is_empty() {
            plan = Plan::new(plan.experiment, store, places, None)?.ask_remote(store, places)?;
        }
        Ok(plan)
    }

    /// The records that a run reads and only the remote has.
    fn read_by_run(&self, store: &Store, wanted: &[bool], forced: &[bool]) -> Vec<Arc<Record>> {
        let mut read = vec![false; self.states.len()];
        for (stage, instance) in self.experiment.instances.iter().enumerate().filter(|(stage, _)| wanted[*stage]) {
            let runs = forced[stage] || !matches!(self.states[stage], CacheState::Hit(_));
            if runs {
                instance.inputs.iter().for_each(|input| read[input.instance] = true);
            } else if instance.kind.section.is_report() {
                read[stage] = true;
            }
        }
        let record = |(state, read): (&CacheState, bool)| match state {
            CacheState::Hit(record) if read => store.only_remote(record.key),
            _ => None,
        };
        self.states.iter().zip(read).filter_map(record).collect()
    }
}
