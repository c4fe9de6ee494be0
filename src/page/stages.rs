//! Describes the stages that the reports depend on.

use crate::cache::{Provenance, Record, Store};
use crate::lineage::{StageTrace, describe};
use crate::metrics::Evaluation;
use crate::plan::{CacheState, Plan};
use crate::report::page::{DataFiles, Made, StageFacts};
use crate::stage;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of stages that a page describes, so that it stays readable.
const MOST_STAGES: usize = 2_000;

/// Describes `stages` (indices) and all stages they depend on, by name.
///
/// # Errors
/// If the scores of an evaluation are damaged in the cache.
pub(super) fn behind(plan: &Plan, store: &Store, stages: &BTreeSet<usize>) -> Result<BTreeMap<String, StageFacts>> {
    let with_ancestors = plan.dag.with_ancestors(&stages.iter().copied().collect::<Vec<_>>());
    let wanted: Vec<usize> =
        (0..with_ancestors.len()).filter(|&stage| with_ancestors[stage]).take(MOST_STAGES).collect();
    let mut found = BTreeMap::new();
    for (trace, &stage) in describe(plan, store, &wanted).into_iter().zip(&wanted) {
        let record = if let CacheState::Hit(record) = &plan.states[stage] { Some(record.as_ref()) } else { None };
        let metrics = record.map(|record| scores(record, store)).transpose()?.flatten();
        found.insert(trace.stage.clone(), StageFacts { metrics, ..facts(trace, record)? });
    }
    Ok(found)
}

fn facts(trace: StageTrace, record: Option<&Record>) -> Result<StageFacts> {
    let is_data_set = |(param, _): &&(&str, String)| *param == stage::DATASET.param;
    Ok(StageFacts {
        data_set: trace.inputs.iter().find(is_data_set).map(|(_, input)| input.clone()),
        kind: trace.kind.to_owned(),
        seed: trace.seed,
        state: trace.state.to_owned(),
        key: trace.key.map(|key| key.to_string()),
        // Relative to the cache, because its path on this machine is of no use to other readers.
        record: record.map(|record| format!("records/{}.json", record.key)),
        made: trace.made.as_ref().map(to_made).transpose()?,
        telemetry: trace.telemetry,
        differing: trace.differing,
        params: trace.params,
        inputs: trace.inputs.into_iter().map(|(param, input)| (param.to_owned(), input)).collect(),
        files: trace.files.map(|files| DataFiles { count: files.count, digest: files.digest.to_string() }),
        metrics: None,
        stage: trace.stage,
    })
}

fn to_made(provenance: &Provenance) -> Result<Made> {
    let json = serde_json::to_value(provenance).context("the provenance of a stage")?;
    serde_json::from_value(json).context("the provenance of a stage")
}

/// The scores of an evaluation. `None` if there are none, or if the file has another format: a `command` may write a
/// file of the same name.
fn scores(record: &Record, store: &Store) -> Result<Option<Evaluation>> {
    let Some(output) = record.outputs.iter().find(|output| output.path == Evaluation::FILE) else { return Ok(None) };
    Ok(serde_json::from_slice(&store.read(output)?).ok())
}
