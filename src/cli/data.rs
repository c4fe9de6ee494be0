//! `matssl-run data FILE`: whether data sets and weights are there, what they hold, and what leaks between splits.

pub(super) mod counter;
mod preview;
mod preview_folder;
mod report;
mod sets;
mod text;

use super::arguments::ExperimentArgs;
use super::foreseen::Foresights;
use super::open_experiment::{self, OpenExperiment};
use super::outcome::{Ending, Stop};
use super::output::print;
use super::wording::plural;
use crate::data::DataError;
use crate::lineage::{DataSet, Findings, Flows};
use crate::plan::CacheState;
use crate::stage;
use clap::Args;
use counter::Counter;
use preview_folder::PreviewFolder;
use regex::Regex;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "A leak is a micrograph, or a part of one, that is both trained on and scored on: the same pixels, \
                        an edited copy, a crop, an overlapping field of view; also mirrored or rotated by 90°. Copies at \
                        another scale are not found."
)]
pub(super) struct DataArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    /// Treat leaks as errors (exit code 5).
    #[arg(long)]
    strict: bool,
    /// Do not compare images with each other.
    #[arg(long)]
    no_leaks: bool,
    /// The part of a file name (without extension) that names the specimen, e.g. `^[^_]+`; the first group counts, if
    /// there is one. Specimens that are both trained on and scored on are reported.
    #[arg(long, value_name = "REGEX")]
    specimen: Option<String>,
    /// Draw each labelled image with its classes in colour into DIR, a new or empty folder or that of an earlier preview,
    /// with a page of all: DIR/index.html.
    #[arg(long, value_name = "DIR")]
    preview: Option<PathBuf>,
    /// Maximum number of pictures of a data set; of more images, evenly spaced ones are drawn.
    #[arg(long, value_name = "N", requires = "preview", default_value = "200")]
    preview_count: NonZeroUsize,
    /// No progress, only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn data(args: &DataArgs) -> Result<Ending, Stop> {
    let specimen = args.specimen.as_deref().map(Regex::new).transpose();
    let specimen = specimen.map_err(|error| Stop::bad_request(format!("--specimen: {error}")))?;
    let folder = args.preview.as_deref().map(PreviewFolder::open).transpose()?;
    let experiment = open_experiment::open_whole(&args.experiment)?;
    let counter = Counter { quiet: args.quiet };
    let sets = sets::all(&experiment, &counter);
    let flows = Flows::of(&experiment.plan);
    let given = sets.iter().filter_map(|set| Some((set.instance, stage::images(&set.open()?.manifest)))).collect();
    let judged: Vec<bool> = experiment.plan.states.iter().map(|state| !matches!(state, CacheState::Hit(_))).collect();
    let foreseen = Foresights::of(&experiment, &judged, &given);
    let report = report::Report::new(&experiment, &sets, foreseen);
    let report = report.with_specimens(&sets, &flows, specimen.as_ref());
    let leaks = if args.no_leaks { Ok(None) } else { leaks(&experiment, &sets, &flows, &counter) };
    let report = match leaks {
        Ok(leaks) => report.with_leaks(leaks),
        Err(error) => report.with_problem(&error),
    };
    let experiment_title = &experiment.plan.experiment.name;
    let drawn =
        folder.map(|folder| preview::write(&folder, experiment_title, &sets, args.preview_count, &counter)).transpose();
    let (report, failed) = match drawn {
        Ok(drawn) => (report.with_preview(drawn), None),
        Err(stop) => (report, Some(stop)),
    };
    print(&if args.json { report.json() } else { text::of(&report) });
    experiment.leave();
    if let Some(stop) = Stop::all(report.stop().into_iter().chain(failed)) {
        return Err(stop);
    }
    let warnings = report.leaking();
    if warnings > 0 && args.strict {
        let found = plural(warnings, "leak");
        return Err(Stop::new(Ending::BadData, format!("error: {found} of images or specimens (--strict)")));
    }
    Ok(Ending::Done)
}

/// The leaks that an earlier run has found in the same data, or those found now; these are kept for the next time.
fn leaks(
    experiment: &OpenExperiment,
    sets: &[sets::Set],
    flows: &Flows,
    counter: &Counter,
) -> Result<Option<Findings>, DataError> {
    let sets: Vec<&DataSet> = sets.iter().filter_map(|set| set.found()).collect();
    if let Some(known) = Findings::of(&sets, flows, &experiment.store, None)? {
        return Ok(Some(known));
    }
    counter.during("comparing images", |count| {
        let progress = |done: usize, total: usize| {
            count(done, total);
            true
        };
        Findings::of(&sets, flows, &experiment.store, Some(&progress))
    })
}
