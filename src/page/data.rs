//! The data sets of an experiment, and the leaks between their images.

use super::progress::PageProgress;
use crate::cache::Store;
use crate::data::Manifest;
use crate::data::sources::source;
use crate::experiment::Instance;
use crate::lineage::{DataSet, Findings, Flow, Flows, data_sets};
use crate::plan::{CacheState, Plan};
use crate::report::page::{Availability, DataView, LeaksView, Page, PublishedView, TableLeaks};
use crate::stage::{self, Places};
use std::collections::{BTreeMap, BTreeSet};

/// Adds to the page the data sets, the leaks between them, and the rows of tables that are scored on leaked images.
/// Returns the leaks, and the reason if images could not be compared.
pub(super) fn fill(
    page: &mut Page,
    plan: &Plan,
    store: &Store,
    places: &Places,
    progress: Option<PageProgress<'_>>,
) -> (Option<Findings>, Option<String>) {
    let sets = data_sets(plan, store, places);
    let is_data = |instance: &Instance| instance.kind.leaves(Manifest::FILE);
    let instances = plan.experiment.instances.iter().enumerate();
    for (index, instance) in instances.filter(|(_, instance)| is_data(instance)) {
        let set = sets.iter().find(|set| set.instance == index);
        page.data.push(view(instance, set, &plan.states[index], store));
    }
    if page.data.is_empty() {
        return (None, None);
    }
    let flows = Flows::of(plan);
    let (leaks, problem) = match Findings::of(&sets.iter().collect::<Vec<_>>(), &flows, store, progress) {
        Ok(leaks) => (leaks, None),
        Err(error) => (None, Some(error.to_string())),
    };
    if let Some(leaks) = &leaks {
        mark(page, plan, &flows, leaks);
    }
    let absent = page.data.iter().filter(|set| set.survey.is_none()).map(|set| set.name.clone());
    page.leaks = Some(LeaksView {
        compared: leaks.as_ref().map(|leaks| leaks.images),
        scored: leaks.as_ref().map_or(0, |leaks| leaks.scored),
        found: leaks.iter().flat_map(|leaks| &leaks.leaks).map(|leak| leak.pair.clone()).collect(),
        absent: absent.collect(),
        problem: problem.clone(),
    });
    (leaks, problem)
}

fn view(instance: &Instance, set: Option<&DataSet>, state: &CacheState, store: &Store) -> DataView {
    let manifest = set.map(|set| &set.open.manifest);
    // A synthesised data set has no format; the page shows its kind instead.
    let format = stage::dataset_params(instance.stage.as_ref()).map(|params| params.format.name());
    DataView {
        name: instance.name.clone(),
        format: format.unwrap_or(instance.kind.name).to_owned(),
        state: match (set, state) {
            (Some(_), _) if format.is_some() => Availability::Found,
            (Some(_), _) => Availability::Synthesized,
            (None, CacheState::Unavailable(_)) => Availability::Missing,
            (None, _) => Availability::NotRead,
        },
        classes: manifest.map(|manifest| manifest.classes.clone()).unwrap_or_default(),
        ignore_classes: manifest.map(|manifest| manifest.ignore_classes.clone()).unwrap_or_default(),
        published: format.and_then(source).map(|source| PublishedView {
            name: source.name,
            counts: source.counts,
            paper: source.paper,
        }),
        survey: set.map(|set| set.survey(store)),
    }
}

/// Marks the rows of tables whose models were trained on some of the images that they are scored on.
fn mark(page: &mut Page, plan: &Plan, flows: &Flows, leaks: &Findings) {
    let mut scored_by_flow: BTreeMap<Flow, BTreeSet<&str>> = BTreeMap::new();
    for leak in &leaks.leaks {
        for &flow in &leak.flows {
            scored_by_flow.entry(flow).or_default().insert(&leak.pair.scored.image);
        }
    }
    if scored_by_flow.is_empty() {
        return;
    }
    let names = plan.experiment.instances.iter().map(|instance| instance.name.as_str());
    let indices: BTreeMap<&str, usize> = names.zip(0..).collect();
    for table in &mut page.tables {
        for (label, stages) in &table.stages {
            let stages = stages.iter().filter_map(|name| indices.get(name.as_str()));
            let flows = stages.flat_map(|&stage| flows.of_stage(stage));
            let images: BTreeSet<&str> =
                flows.filter_map(|flow| scored_by_flow.get(&flow)).flatten().copied().collect();
            if !images.is_empty() {
                table.leaks.push(TableLeaks { label: label.clone(), images: images.len() });
            }
        }
    }
}
