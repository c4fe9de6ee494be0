//! Reads tables, figures, overlays and models from the outputs of their stages.

use super::models;
use crate::cache::{Output, Record, Store};
use crate::experiment::{InputRef, Instance, Section};
use crate::plan::{CacheState, Plan};
use crate::report::page::{FigureView, FilesView, ModelsView, OverlayView, Picture, TableView};
use crate::report::{FileForm, safe_names};
use crate::stage;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};

/// All finished reports.
#[derive(Default)]
pub(super) struct Reports {
    pub(super) tables: Vec<TableView>,
    pub(super) figures: Vec<FigureView>,
    pub(super) overlays: Vec<OverlayView>,
    pub(super) models: Vec<ModelsView>,
    pub(super) files: Vec<FilesView>,
    /// The stages (as indices) that they read.
    pub(super) stages: BTreeSet<usize>,
}

impl Reports {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
            && self.figures.is_empty()
            && self.overlays.is_empty()
            && self.models.is_empty()
            && self.files.is_empty()
    }
}

/// Reads all reports that are in the cache.
///
/// # Errors
/// If an output is damaged.
pub(super) fn read(plan: &Plan, store: &Store) -> Result<Reports> {
    let mut reports = Reports::default();
    for (instance, state) in plan.experiment.instances.iter().zip(&plan.states) {
        let CacheState::Hit(record) = state else { continue };
        if instance.kind.section.is_report() {
            Report { plan, store, instance, record: record.as_ref() }.add_to(&mut reports)?;
            reports.stages.extend(instance.inputs.iter().map(|input| input.instance));
        }
    }
    Ok(reports)
}

/// The stage of a report. The formats of its files determine its type: a table has Markdown, a figure has SVG, and both
/// have CSV. PNG files without SVG are pictures of an overlay.
struct Report<'a> {
    plan: &'a Plan,
    store: &'a Store,
    instance: &'a Instance,
    record: &'a Record,
}

impl Report<'_> {
    fn add_to(&self, reports: &mut Reports) -> Result<()> {
        if self.instance.kind.section == Section::Files {
            let copies = self.record.outputs.iter().map(|output| (output.path.clone(), output.size));
            let (copies, stages) = (copies.collect(), self.labels());
            reports.files.push(FilesView { file: self.file(), copies, stages });
            return Ok(());
        }
        // A model folder has a README, which is no table.
        if self.instance.kind.section == Section::Models {
            reports.models.push(self.models()?);
            return Ok(());
        }
        let mut pictures = Vec::new();
        for output in &self.record.outputs {
            let Some((stem, form)) = FileForm::of(&output.path) else { continue };
            let file = stem.to_owned();
            match form {
                FileForm::Markdown => reports.tables.push(TableView {
                    markdown: self.text(output)?,
                    rows: self.rows(stem)?,
                    stages: self.labels(),
                    leaks: Vec::new(),
                    file,
                }),
                FileForm::Svg => {
                    let (svg, rows) = (self.text(output)?, self.rows(stem)?);
                    reports.figures.push(FigureView { svg, rows, stages: self.labels(), file });
                }
                FileForm::Png if self.output(&FileForm::Svg.file(stem)).is_none() => pictures.push(output),
                FileForm::Png | FileForm::Csv | FileForm::Latex | FileForm::Text => {}
            }
        }
        if !pictures.is_empty() {
            reports.overlays.push(self.overlay(&pictures)?);
        }
        Ok(())
    }

    fn models(&self) -> Result<ModelsView> {
        let mut folders = Vec::new();
        for output in &self.record.outputs {
            if let Some(path) = output.path.strip_suffix("/model.json") {
                folders.extend(models::facts(path, &self.text(output)?));
            }
        }
        let (file, ensemble) = (self.file(), self.instance.params["ensemble"].as_bool() == Some(true));
        let trained = self.instance.inputs.iter().filter(|input| input.role == "rows");
        let name = |input: &InputRef| self.plan.experiment.instances[input.instance].name.clone();
        let stages = trained.map(|input| (input.label.clone(), vec![name(input)])).collect();
        Ok(ModelsView { path: models::path(&file), file, ensemble, folders, stages })
    }

    /// The name that the experiment gives it.
    fn file(&self) -> String {
        self.instance.params["file"].as_str().unwrap_or(&self.instance.name).to_owned()
    }

    fn output(&self, path: &str) -> Option<&Output> {
        self.record.outputs.iter().find(|output| output.path == path)
    }

    fn text(&self, output: &Output) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.store.read(output)?).into_owned())
    }

    /// The rows of the CSV file `stem`, by column; empty without such a file.
    fn rows(&self, stem: &str) -> Result<Vec<BTreeMap<String, String>>> {
        let Some(output) = self.output(&FileForm::Csv.file(stem)) else { return Ok(Vec::new()) };
        let csv = self.text(output)?;
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("the rows of {}", output.path))
    }

    /// The stages of each label: labels in order of appearance, seeds ascending.
    fn labels(&self) -> Vec<(String, Vec<String>)> {
        let mut labels: Vec<(&str, Vec<usize>)> = Vec::new();
        // The data set of an overlay is not a row, but the data sets of a `data_table` are.
        let is_row = |role: &str| role != stage::DATASET.param;
        let only_data = !self.instance.inputs.iter().any(|input| is_row(input.role));
        for input in self.instance.inputs.iter().filter(|input| only_data || is_row(input.role)) {
            match labels.iter_mut().find(|(label, _)| *label == input.label) {
                Some((_, stages)) => stages.push(input.instance),
                None => labels.push((&input.label, vec![input.instance])),
            }
        }
        let instances = &self.plan.experiment.instances;
        let named = |(label, mut stages): (&str, Vec<usize>)| {
            stages.sort_by_key(|&stage| instances[stage].seed);
            (label.to_owned(), stages.into_iter().map(|stage| instances[stage].name.clone()).collect())
        };
        labels.into_iter().map(named).collect()
    }

    /// An overlay from its pictures `FILE/LABEL/IMAGE.png`, or `FILE/IMAGE.png` if a picture shows all labels.
    fn overlay(&self, pictures: &[&Output]) -> Result<OverlayView> {
        let labels = self.labels();
        let folders = safe_names(labels.iter().map(|(label, _)| label.as_str()));
        let file = self.file();
        let (mut methods, mut stages): (Vec<(String, Vec<Picture>)>, Vec<_>) = (Vec::new(), Vec::new());
        for output in pictures {
            let mut parts = output.path.rsplitn(3, '/');
            let (image, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let found = folders.iter().position(|known| known == folder);
            let label = found.map_or(folder, |index| labels[index].0.as_str());
            let picture = (image.to_owned(), self.store.read(output)?);
            match methods.iter_mut().find(|(known, _)| *known == label) {
                Some((_, pictures)) => pictures.push(picture),
                None => {
                    methods.push((label.to_owned(), vec![picture]));
                    // An overlay shows the lowest seed.
                    let shown = found.map_or(labels.as_slice(), |index| std::slice::from_ref(&labels[index]));
                    let evaluations = shown.iter().filter_map(|(_, seeds)| seeds.first().cloned());
                    stages.push((label.to_owned(), evaluations.collect()));
                }
            }
        }
        Ok(OverlayView { file, methods, stages })
    }
}
