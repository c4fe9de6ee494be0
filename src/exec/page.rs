//! What an experiment came to, collected for the page and for programs: from the plan and the cache alone.

mod data;
mod timeline;

use crate::cache::{Output, Record, Store};
use crate::experiment::Instance;
use crate::plan::{Drawing, Findings, Plan, State, describe};
use crate::report::page::{FigureView, OverlayView, Page, Picture, TableView};
use crate::report::safe_names;
use crate::stage::Places;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// More stages than this are not described one by one: a page is for reading.
const MOST_STAGES: usize = 2_000;

/// What is told of images compared and of all, and says whether to go on.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) -> bool + Sync);

/// What came of it.
#[derive(Debug, Default)]
pub struct Written {
    /// The page; none if nothing is reported yet.
    pub page: Option<PathBuf>,
    /// Leaks between images, if they were compared.
    pub leaks: Option<Findings>,
    /// Why images could not be compared.
    pub problem: Option<String>,
}

/// Writes `index.html` and `run.json` into `folder`, where the reports of `plan` are; not if nothing is reported yet.
/// Images are compared for leaks if there is a `progress`; without one, only what is known from last time is shown.
///
/// # Errors
/// If an output is damaged in the cache, or on a full or read-only disk.
pub fn write_page(
    plan: &Plan,
    store: &Store,
    places: &Places,
    folder: &Path,
    progress: Option<Progress<'_>>,
) -> Result<Written> {
    let (mut page, behind) = reports(plan, store)?;
    if page.tables.is_empty() && page.figures.is_empty() && page.overlays.is_empty() {
        return Ok(Written::default());
    }
    page.stages = stages(plan, store, behind)?;
    let (leaks, problem) = data::fill(&mut page, plan, store, places, progress);
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
    Ok(Written { page: Some(folder.join("index.html")), leaks, problem })
}

/// All reports that are made, and the stages behind them.
fn reports(plan: &Plan, store: &Store) -> Result<(Page, BTreeSet<usize>)> {
    let experiment = &plan.experiment;
    let done = plan.states.iter().filter(|state| matches!(state, State::Hit(_))).count();
    let mut page = Page {
        title: experiment.title.clone(),
        name: experiment.name.clone(),
        state: format!("{done} of {} stages done", plan.states.len()),
        graph: Drawing::new(plan).svg(),
        timeline: timeline::of(plan, store),
        ..Page::default()
    };
    let mut behind = BTreeSet::new();
    for (instance, state) in experiment.instances.iter().zip(&plan.states) {
        let State::Hit(record) = state else { continue };
        if !instance.kind.section.is_report() {
            continue;
        }
        let report = Report { plan, store, instance, record: record.as_ref() };
        report.add_to(&mut page)?;
        behind.extend(instance.inputs.iter().map(|input| input.instance));
    }
    Ok((page, behind))
}

/// A stage whose output is for readers. What it is, its files say: a table leaves Markdown (and its numbers as CSV), a figure SVG,
/// pictures are PNG.
struct Report<'a> {
    plan: &'a Plan,
    store: &'a Store,
    instance: &'a Instance,
    record: &'a Record,
}

impl Report<'_> {
    fn add_to(&self, page: &mut Page) -> Result<()> {
        let has = |name: &str| self.record.outputs.iter().any(|output| output.path == name);
        let mut pictures = Vec::new();
        for output in &self.record.outputs {
            let Some((stem, extension)) = output.path.rsplit_once('.') else { continue };
            let csv = format!("{stem}.csv");
            let rows = || if has(&csv) { rows(&text(self.store, self.record, &csv)?) } else { Ok(Vec::new()) };
            match extension {
                "md" => page.tables.push(TableView {
                    file: stem.to_owned(),
                    markdown: text(self.store, self.record, &output.path)?,
                    rows: rows()?,
                    stages: self.labels(),
                    leaks: Vec::new(),
                }),
                "svg" => page.figures.push(FigureView {
                    file: stem.to_owned(),
                    svg: text(self.store, self.record, &output.path)?,
                    rows: rows()?,
                    stages: self.labels(),
                }),
                "png" if !has(&format!("{stem}.svg")) => pictures.push(output),
                _ => {}
            }
        }
        if !pictures.is_empty() {
            page.overlays.push(self.overlay(&pictures)?);
        }
        Ok(())
    }

    /// The stages behind each label, labels in order of appearance, seeds ascending.
    fn labels(&self) -> Vec<(String, Vec<String>)> {
        let mut labels: Vec<(String, Vec<usize>)> = Vec::new();
        // The data set that pictures are of is no line of its own.
        let only = self.instance.inputs.iter().all(|input| input.role == "dataset");
        for input in self.instance.inputs.iter().filter(|input| only || input.role != "dataset") {
            match labels.iter_mut().find(|(label, _)| *label == input.label) {
                Some((_, stages)) => stages.push(input.instance),
                None => labels.push((input.label.clone(), vec![input.instance])),
            }
        }
        let instances = &self.plan.experiment.instances;
        let named = |(label, mut stages): (String, Vec<usize>)| {
            stages.sort_by_key(|&stage| instances[stage].seed);
            (label, stages.into_iter().map(|stage| instances[stage].name.clone()).collect())
        };
        labels.into_iter().map(named).collect()
    }

    /// Of `FILE/LABEL/IMAGE.png`, or of `FILE/IMAGE.png` where one picture shows all labels.
    fn overlay(&self, pictures: &[&Output]) -> Result<OverlayView> {
        let labels = self.labels();
        let folders = safe_names(labels.iter().map(|(label, _)| label.as_str()));
        let file = self.instance.params["file"].as_str().unwrap_or(&self.instance.name).to_owned();
        let (mut methods, mut stages): (Vec<(String, Vec<Picture>)>, Vec<_>) = (Vec::new(), Vec::new());
        for output in pictures {
            let mut parts = output.path.rsplitn(3, '/');
            let (image, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let found = folders.iter().position(|known| known == folder);
            let label = found.map_or(folder, |place| labels[place].0.as_str());
            let picture = (image.to_owned(), self.store.read(output)?);
            match methods.iter_mut().find(|(known, _)| *known == label) {
                Some((_, pictures)) => pictures.push(picture),
                None => {
                    methods.push((label.to_owned(), vec![picture]));
                    // Pictures are of the lowest seed.
                    let of = |(_, seeds): &(String, Vec<String>)| seeds.first().cloned();
                    let of_it = match found {
                        Some(place) => of(&labels[place]).into_iter().collect(),
                        None => labels.iter().filter_map(of).collect(),
                    };
                    stages.push((label.to_owned(), of_it));
                }
            }
        }
        Ok(OverlayView { file, methods, stages })
    }
}

/// What is known of the stages that all reports rest on.
fn stages(plan: &Plan, store: &Store, behind: BTreeSet<usize>) -> Result<BTreeMap<String, Value>> {
    let mut wanted: Vec<usize> = behind.into_iter().collect();
    let with_ancestors = plan.dag.with_ancestors(&wanted);
    wanted = (0..with_ancestors.len()).filter(|&stage| with_ancestors[stage]).collect();
    wanted.truncate(MOST_STAGES);
    let mut stages = BTreeMap::new();
    for (trace, &stage) in describe(plan, store, &wanted).into_iter().zip(&wanted) {
        let name = trace.stage.clone();
        let mut facts = serde_json::to_value(trace).context("what is known of a stage")?;
        if let (State::Hit(record), Value::Object(facts)) = (&plan.states[stage], &mut facts) {
            // Where this machine keeps the cache helps nobody elsewhere.
            facts.insert("record".into(), format!("records/{}.json", record.key).into());
            if record.outputs.iter().any(|output| output.path == "metrics.json") {
                let metrics = serde_json::from_str(&text(store, record, "metrics.json")?).context("metrics")?;
                facts.insert("metrics".into(), metrics);
            }
        }
        stages.insert(name, facts);
    }
    Ok(stages)
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
