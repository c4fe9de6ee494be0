//! What an experiment came to, collected for the page and for programs: from the plan and the cache alone.

use super::event_log::{Event, Line};
use super::status::runs;
use crate::cache::{Output, Record, Store};
use crate::data::{Manifest, Split};
use crate::experiment::{Instance, Section};
use crate::plan::{Drawing, Plan, State, describe};
use crate::report::page::{DataView, FigureView, OverlayView, Page, Picture, Span, SplitView, TableView};
use crate::stage;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// More stages than this are not described one by one: a page is for reading.
const MOST_STAGES: usize = 2_000;

/// Writes `index.html` and `run.json` into `folder`, where the reports of `plan` are; not if nothing is reported yet.
///
/// # Errors
/// If an output is damaged in the cache, or on a full or read-only disk.
pub fn write_page(plan: &Plan, store: &Store, folder: &Path) -> Result<()> {
    let page = collect(plan, store)?;
    if page.tables.is_empty() && page.figures.is_empty() && page.overlays.is_empty() {
        return Ok(());
    }
    let mut json = serde_json::to_vec_pretty(&page).context("run.json")?;
    json.push(b'\n');
    for (name, bytes) in [("index.html", page.html()?.into_bytes()), ("run.json", json)] {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            continue;
        }
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut temporary, &bytes)?;
        temporary.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        temporary.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn collect(plan: &Plan, store: &Store) -> Result<Page> {
    let experiment = &plan.experiment;
    let done = plan.states.iter().filter(|state| matches!(state, State::Hit(_))).count();
    let mut page = Page {
        title: experiment.title.clone(),
        name: experiment.name.clone(),
        state: format!("{done} of {} stages done", plan.states.len()),
        graph: Drawing::new(plan).svg(),
        timeline: timeline(plan, store),
        ..Page::default()
    };
    let mut behind = BTreeSet::new();
    for (instance, state) in experiment.instances.iter().zip(&plan.states) {
        let State::Hit(record) = state else { continue };
        let text = |name: &str| -> Result<String> { text(store, record, name) };
        let file = instance.params["file"].as_str().unwrap_or(&instance.name).to_owned();
        match stage::kind(instance.kind).map(|kind| kind.spec.section) {
            Some(Section::Tables) => {
                let rows = rows(&text(&format!("{file}.csv"))?)?;
                let markdown = text(&format!("{file}.md"))?;
                let stages = labels(plan, instance, &mut behind);
                page.tables.push(TableView { file, markdown, rows, stages });
            }
            Some(Section::Figures) => {
                let svg = text(&format!("{file}.svg"))?;
                let stages = labels(plan, instance, &mut behind);
                page.figures.push(FigureView { file, svg, stages });
            }
            Some(Section::Overlays) => page.overlays.push(overlay(store, record, file)?),
            _ => {
                if let Some(manifest) = record.outputs.iter().find(|output| output.path == "manifest.json") {
                    let manifest = serde_json::from_slice(&store.read(manifest)?).context("a manifest")?;
                    page.data.push(data(&instance.name, &manifest));
                }
            }
        }
    }
    let mut wanted: Vec<usize> = behind.into_iter().collect();
    let with_ancestors = plan.dag.with_ancestors(&wanted);
    wanted = (0..with_ancestors.len()).filter(|&stage| with_ancestors[stage]).collect();
    wanted.truncate(MOST_STAGES);
    for (trace, &stage) in describe(plan, store, &wanted).into_iter().zip(&wanted) {
        let name = trace.stage.clone();
        let mut facts = serde_json::to_value(trace).context("what is known of a stage")?;
        if let (State::Hit(record), Value::Object(facts)) = (&plan.states[stage], &mut facts) {
            // Where this machine keeps it helps nobody elsewhere.
            facts.remove("record");
            if record.outputs.iter().any(|output| output.path == "metrics.json") {
                let metrics = serde_json::from_str(&text(store, record, "metrics.json")?).context("metrics")?;
                facts.insert("metrics".into(), metrics);
            }
        }
        page.stages.insert(name, facts);
    }
    Ok(page)
}

fn text(store: &Store, record: &Record, name: &str) -> Result<String> {
    let output = record.outputs.iter().find(|output| output.path == name);
    let output: &Output = output.with_context(|| format!("{} has no {name}", record.made.stage))?;
    Ok(String::from_utf8_lossy(&store.read(output)?).into_owned())
}

fn rows(csv: &str) -> Result<Vec<BTreeMap<String, String>>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.deserialize().collect::<Result<_, _>>().context("the rows of a table")
}

/// The stages behind each label of a report, labels in order of appearance.
fn labels(plan: &Plan, instance: &Instance, behind: &mut BTreeSet<usize>) -> Vec<(String, Vec<String>)> {
    let mut labels: Vec<(String, Vec<String>)> = Vec::new();
    for input in &instance.inputs {
        behind.insert(input.instance);
        let name = plan.experiment.instances[input.instance].name.clone();
        match labels.iter_mut().find(|(label, _)| *label == input.label) {
            Some((_, stages)) => stages.push(name),
            None => labels.push((input.label.clone(), vec![name])),
        }
    }
    labels
}

/// `FILE/LABEL/IMAGE.png`
fn overlay(store: &Store, record: &Record, file: String) -> Result<OverlayView> {
    let mut methods: Vec<(String, Vec<Picture>)> = Vec::new();
    for output in &record.outputs {
        let mut parts = output.path.rsplitn(3, '/');
        let (image, label) = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
        let picture = (image, store.read(output)?);
        match methods.iter_mut().find(|(known, _)| *known == label) {
            Some((_, pictures)) => pictures.push(picture),
            None => methods.push((label, vec![picture])),
        }
    }
    Ok(OverlayView { file, methods })
}

fn data(name: &str, manifest: &Manifest) -> DataView {
    let splits = [Split::Train, Split::Val, Split::Test, Split::Unlabeled].into_iter().filter_map(|split| {
        let entries = manifest.entries(split);
        let sizes: BTreeSet<(usize, usize)> = entries.iter().map(|entry| (entry.width, entry.height)).collect();
        let words = match sizes.len() {
            0..=3 => sizes.iter().map(|(width, height)| format!("{width}×{height}")).collect::<Vec<_>>().join(", "),
            count => format!("{count} sizes"),
        };
        let pixels = manifest.class_pixels(split);
        let total = pixels.iter().sum::<u64>() as f64;
        let share = |(class, &pixels): (&String, &u64)| (class.clone(), pixels as f64 / total);
        let shares = if total > 0.0 { manifest.classes.iter().zip(&pixels).map(share).collect() } else { Vec::new() };
        (!entries.is_empty()).then(|| SplitView {
            split: split.name().to_owned(),
            images: entries.len(),
            sizes: words,
            shares,
        })
    });
    DataView { name: name.to_owned(), format: manifest.format.clone(), splits: splits.collect() }
}

/// The stages of this experiment's latest run that did something, by its event log.
fn timeline(plan: &Plan, store: &Store) -> Vec<Span> {
    let kinds: BTreeMap<&str, &str> =
        plan.experiment.instances.iter().map(|instance| (instance.name.as_str(), instance.kind)).collect();
    runs(store, Some(&plan.experiment.name))
        .find_map(|run| {
            let text = fs::read_to_string(run.folder.join("events.jsonl")).ok()?;
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Line<Event>>(line).ok());
            let mut spans = spans(lines.map(|line| (line.at as f64 / 1000.0, line.event)));
            for span in &mut spans {
                span.kind = kinds.get(span.stage.as_str()).copied().unwrap_or("no longer there").to_owned();
            }
            (!spans.is_empty()).then_some(spans)
        })
        .unwrap_or_default()
}

fn spans(events: impl Iterator<Item = (f64, Event)>) -> Vec<Span> {
    let (mut start, mut last) = (None, 0.0);
    let mut begun: BTreeMap<String, f64> = BTreeMap::new();
    let mut spans = Vec::new();
    for (at, event) in events {
        last = at - *start.get_or_insert(at);
        let (stage, done) = match event {
            Event::StageStarted { stage, .. } => {
                begun.insert(stage, last);
                continue;
            }
            Event::StageFinished { stage, .. } => (stage, true),
            Event::StageFailed { stage, .. } | Event::StageRetried { stage, .. } => (stage, false),
            _ => continue,
        };
        if let Some(begin) = begun.remove(&stage) {
            spans.push(Span { kind: String::new(), stage, begin, end: last, done });
        }
    }
    // What was stopped.
    let stopped = begun.into_iter();
    spans.extend(stopped.map(|(stage, begin)| Span { kind: String::new(), stage, begin, end: last, done: false }));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Digest, Key};

    #[test]
    fn spans_are_from_start_to_end_and_what_failed_or_was_stopped_is_not_done() {
        let key = Key(Digest::of(b""));
        let started = |stage: &str| Event::StageStarted { stage: stage.into(), key, threads: 1, device: None };
        let events = [
            (100.0, Event::RunStarted { experiment: "e".into(), stages: 3, cached: 0, jobs: 2 }),
            (100.5, started("a")),
            (101.0, started("b")),
            (102.5, Event::StageFinished { stage: "a".into(), key, seconds: 2.0 }),
            (103.0, started("c")),
            (
                104.0,
                Event::StageRetried {
                    stage: "b".into(),
                    attempt: 2,
                    class: super::super::ErrorClass::Lost,
                    message: String::new(),
                },
            ),
            (105.0, Event::StageSkipped { stage: "d".into(), because_of: "b".into() }),
        ];
        let found: Vec<_> =
            spans(events.into_iter()).into_iter().map(|span| (span.stage, span.begin, span.end, span.done)).collect();
        let expected = [("a", 0.5, 2.5, true), ("b", 1.0, 4.0, false), ("c", 3.0, 5.0, false)];
        assert_eq!(found, expected.map(|(stage, begin, end, done)| (stage.to_owned(), begin, end, done)));
    }
}
