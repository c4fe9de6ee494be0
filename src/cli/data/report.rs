//! The report of `data` as values, from which the text and the JSON are made.

use super::super::foreseen::{Foresights, Line};
use super::super::open_experiment::OpenExperiment;
use super::super::outcome::{Ending, Stop};
use super::preview::PreviewReport;
use super::sets::{Set, SetState};
use crate::cache::Store;
use crate::data::format::PassedOver;
use crate::data::leaks::Pair;
use crate::data::patches::{Edge, PatchParams, Use};
use crate::data::sources::{Source, source};
use crate::data::survey::{Survey, patches};
use crate::data::{DataError, Split};
use crate::lineage::{Findings, Flows};
use crate::stage;
use regex::Regex;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) experiment: String,
    /// Folder in which relative paths are looked up.
    pub(super) data: String,
    pub(super) datasets: Vec<DatasetLine>,
    pub(super) weights: Vec<WeightsLine>,
    pub(super) patches: Vec<PatchesLine>,
    /// None if images were not compared.
    pub(super) leaks: Option<Vec<Pair>>,
    /// Number of images that were compared.
    pub(super) compared: Option<usize>,
    /// None if nothing says what a specimen is.
    pub(super) specimens: Option<Vec<SpecimenLine>>,
    /// Why images could not be compared.
    pub(super) problem: Option<String>,
    /// Stages that must fail with these data.
    pub(super) must_fail: Vec<Line>,
    /// What is suspicious about the use of these data.
    pub(super) warnings: Vec<Line>,
    /// Left out without `--preview`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) preview: Option<PreviewReport>,
    #[serde(skip)]
    ending: Ending,
}

#[derive(Serialize)]
pub(super) struct DatasetLine {
    pub(super) name: String,
    pub(super) format: String,
    /// `found`, `missing`, `bad` or `drawn` (by the run itself).
    pub(super) state: &'static str,
    pub(super) folder: Option<String>,
    pub(super) problem: Option<String>,
    pub(super) source: Option<SourceLine>,
    pub(super) classes: Vec<String>,
    pub(super) ignore_classes: Vec<u8>,
    /// What lies in its folder and is not read.
    pub(super) passed_over: Option<PassedOver>,
    #[serde(flatten)]
    pub(super) survey: Option<Survey>,
}

/// The published source of a data set. `null` means that its publisher does not say.
#[derive(Serialize)]
pub(super) struct SourceLine {
    pub(super) name: &'static str,
    pub(super) url: &'static str,
    pub(super) fetch: &'static str,
    pub(super) counts: &'static str,
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<&'static str>,
    pub(super) licence: &'static str,
    pub(super) paper: &'static str,
}

#[derive(Serialize)]
pub(super) struct WeightsLine {
    pub(super) weights: String,
    pub(super) arch: &'static str,
    pub(super) variant: &'static str,
    /// `found`, `missing` or `bad`.
    pub(super) state: &'static str,
    pub(super) folder: String,
    pub(super) file: Option<String>,
    pub(super) bytes: Option<u64>,
    /// The published beginning of its hash, which the file was checked against.
    pub(super) sha256: Option<&'static str>,
    /// Where in the file the network was found, if that is not its top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
    /// Tensors beside the network's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) passed_over: Vec<String>,
    /// Tensors that the file lacks; they start with random values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
    pub(super) problem: Option<String>,
    /// Published files that fit.
    pub(super) published: Vec<PublishedLine>,
}

#[derive(Serialize)]
pub(super) struct PublishedLine {
    pub(super) url: String,
    pub(super) kib: Option<u64>,
    pub(super) sha256: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct PatchesLine {
    pub(super) stage: String,
    pub(super) dataset: String,
    #[serde(rename = "use")]
    pub(super) from: Use,
    pub(super) size: usize,
    pub(super) overlap: f64,
    pub(super) edge: Edge,
    /// None without the data set.
    pub(super) patches: Option<usize>,
    pub(super) paper: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct SpecimenLine {
    pub(super) specimen: String,
    pub(super) dataset: String,
    pub(super) scored: Split,
    pub(super) scored_images: usize,
    pub(super) trained: Split,
    pub(super) trained_images: usize,
    pub(super) how: String,
}

impl Report {
    pub(super) fn new(experiment: &OpenExperiment, sets: &[Set], foreseen: Foresights) -> Report {
        let mut report = Report {
            experiment: experiment.plan.experiment.name.clone(),
            data: experiment.places.data.display().to_string(),
            datasets: Vec::new(),
            weights: Vec::new(),
            patches: Vec::new(),
            leaks: None,
            compared: None,
            specimens: None,
            problem: None,
            preview: None,
            ending: foreseen.stop().map_or(Ending::Done, |stop| stop.ending),
            must_fail: foreseen.problems,
            warnings: foreseen.warnings,
        };
        for set in sets {
            let line = DatasetLine::of(set, &experiment.store);
            if let SetState::Wrong { ending, .. } = set.state {
                report.ending = report.ending.max(ending);
            }
            report.datasets.push(line);
        }
        report.weights = weights(experiment);
        for line in &report.weights {
            report.ending = report.ending.max(match line.state {
                "missing" => Ending::NotThere,
                "bad" => Ending::BadData,
                _ => Ending::Done,
            });
        }
        report.patches = all_patches(experiment, sets);
        report
    }

    pub(super) fn with_leaks(mut self, findings: Option<Findings>) -> Report {
        self.compared = findings.as_ref().map(|findings| findings.images);
        self.leaks = findings.map(|findings| findings.leaks.into_iter().map(|leak| leak.pair).collect());
        self
    }

    pub(super) fn with_problem(mut self, error: &DataError) -> Report {
        self.ending = self.ending.max(error.into());
        self.problem = Some(error.to_string());
        self
    }

    pub(super) fn with_preview(mut self, preview: Option<PreviewReport>) -> Report {
        self.preview = preview;
        self
    }

    /// Adds specimens that are both trained on and scored on. They are compared within one folder only: elsewhere the same name
    /// means another specimen.
    pub(super) fn with_specimens(mut self, sets: &[Set], flows: &Flows, specimen: Option<&Regex>) -> Report {
        let Some(specimen) = specimen else { return self };
        let by_instance: BTreeMap<usize, &Set> = sets.iter().map(|set| (set.instance, set)).collect();
        let count = |set: &Set, split: Split| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for entry in set.open().map(|open| open.entries(split)).unwrap_or_default() {
                if let Some(found) = specimen.captures(entry.stem()) {
                    let name = found.get(1).or(found.get(0)).map(|name| name.as_str()).unwrap_or_default();
                    *counts.entry(name.to_owned()).or_default() += 1;
                }
            }
            counts
        };
        let mut lines = Vec::new();
        for ((trained, scored), how) in flows.iter() {
            let (Some(from), Some(to)) = (by_instance.get(&trained.0), by_instance.get(&scored.0)) else { continue };
            if from.instance != to.instance && (from.folder.is_none() || from.folder != to.folder) {
                continue;
            }
            let theirs = count(from, trained.1);
            for (specimen, scored_images) in count(to, scored.1) {
                if let Some(&trained_images) = theirs.get(&specimen) {
                    lines.push(SpecimenLine {
                        specimen,
                        dataset: to.name.clone(),
                        scored: scored.1,
                        scored_images,
                        trained: trained.1,
                        trained_images,
                        how: how.iter().copied().collect::<Vec<_>>().join(", "),
                    });
                }
            }
        }
        self.specimens = Some(lines);
        self
    }

    /// Number of leaks of images and specimens.
    pub(super) fn leaking(&self) -> usize {
        self.leaks.as_ref().map_or(0, Vec::len) + self.specimens.as_ref().map_or(0, Vec::len)
    }

    /// Everything that keeps the experiment from running, one problem a line.
    pub(super) fn stop(&self) -> Option<Stop> {
        if self.ending == Ending::Done {
            return None;
        }
        let mut message = String::new();
        let wrong = self.datasets.iter().filter_map(|line| Some((&line.name, line.problem.as_ref()?)));
        for (name, problem) in wrong {
            // The report has all lines: once is enough.
            let lines = problem.split_once('\n');
            let problem = lines.map_or(problem.clone(), |(first, _)| format!("{first} see the report"));
            message += &format!("error: {name}: {problem}\n");
        }
        for line in self.weights.iter().filter_map(|line| line.problem.as_ref()) {
            message += &format!("error: {line}\n");
        }
        for line in &self.must_fail {
            // The report has the reasons.
            message += &format!("error: {}: must fail with these data\n", line.names);
        }
        if let Some(problem) = &self.problem {
            message += &format!("error: {problem}\n");
        }
        Some(Stop::new(self.ending, message))
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).map(|text| text + "\n").unwrap_or_default()
    }
}

impl DatasetLine {
    fn of(set: &Set, store: &Store) -> DatasetLine {
        let (state, problem) = match &set.state {
            SetState::Found(_) => ("found", None),
            SetState::Drawn => ("drawn", None),
            SetState::Wrong { ending, message } => {
                (if *ending == Ending::NotThere { "missing" } else { "bad" }, Some(message.clone()))
            }
        };
        let manifest = set.open().map(|open| &open.manifest);
        DatasetLine {
            name: set.name.clone(),
            format: set.format.clone(),
            state,
            folder: set.folder.as_ref().map(|folder| folder.display().to_string()),
            problem,
            source: source(&set.format).map(SourceLine::of),
            classes: manifest.map(|manifest| manifest.classes.clone()).unwrap_or_default(),
            ignore_classes: manifest.map(|manifest| manifest.ignore_classes.clone()).unwrap_or_default(),
            passed_over: set.passed_over.clone(),
            survey: set.found().map(|set| set.survey(store)),
        }
    }
}

impl SourceLine {
    fn of(source: &'static Source) -> SourceLine {
        let &Source { name, url, fetch, counts, bytes, sha256, licence, paper, .. } = source;
        SourceLine { name, url, fetch, counts, bytes, sha256, licence, paper }
    }
}

/// The weight files that stages start from, each once.
fn weights(experiment: &OpenExperiment) -> Vec<WeightsLine> {
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    for instance in &experiment.plan.experiment.instances {
        let Some(start) = stage::start_weights(instance.stage.as_ref(), &experiment.places) else { continue };
        if !seen.insert((start.weights.clone(), start.arch, start.variant, start.width, start.choice.clone())) {
            continue;
        }
        let bytes = start.file.as_ref().and_then(|file| Some(std::fs::metadata(file).ok()?.len()));
        let published = start
            .published
            .iter()
            .filter_map(|file| Some(PublishedLine { url: file.url.clone()?, kib: file.kib, sha256: file.sha256 }));
        lines.push(WeightsLine {
            state: match (&start.problem, start.bad) {
                (None, _) => "found",
                (_, true) => "bad",
                (_, false) => "missing",
            },
            folder: start.folder.display().to_string(),
            file: start.file.as_ref().map(|file| file.display().to_string()),
            bytes,
            sha256: start.known.as_ref().and_then(|known| known.sha256).filter(|_| start.problem.is_none()),
            found: start.found,
            passed_over: start.passed_over,
            missing: start.missing,
            problem: start.problem,
            published: published.collect(),
            weights: start.weights,
            arch: start.arch,
            variant: start.variant,
        });
    }
    lines
}

/// What each `patchify` stage cuts.
fn all_patches(experiment: &OpenExperiment, sets: &[Set]) -> Vec<PatchesLine> {
    let mut lines = Vec::new();
    for instance in &experiment.plan.experiment.instances {
        let params = stage::patch_params(instance.stage.as_ref());
        let (Some(params), Some(input)) = (params, instance.inputs.first()) else { continue };
        let Some(set) = sets.iter().find(|set| set.instance == input.instance) else { continue };
        let PatchParams { size, overlap, edge, from } = params;
        lines.push(PatchesLine {
            stage: instance.name.clone(),
            dataset: set.name.clone(),
            from,
            size,
            overlap,
            edge,
            patches: set.open().map(|open| patches(&open.manifest, &params)),
            paper: source(&set.format).and_then(|source| source.paper_patches),
        });
    }
    lines
}
