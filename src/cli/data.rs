//! `matssl-run data FILE`: whether data sets and weights are in place, what they hold, and what leaks between them.

mod report;
mod sets;
mod text;

use super::place::Place;
use super::{ExperimentArgs, Stop, place, print, usage};
use crate::data::DataError;
use crate::exit_code;
use crate::plan::{DataSet, Findings, Flows};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use regex::Regex;
use std::io::IsTerminal;

#[derive(Args)]
#[command(after_help = "A leak is a micrograph, or a part of one, that is trained on and scored on: the same pixels, \
                        a changed copy, a crop, an overlapping field of view, also mirrored or turned by 90°. Copies at \
                        another scale are not found.")]
pub(super) struct DataArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    /// Leaks are errors: exit code 5.
    #[arg(long)]
    strict: bool,
    /// Do not compare images with each other.
    #[arg(long)]
    no_leaks: bool,
    /// What of a file's name (without its extension) names the specimen, e.g. `^[^_]+`; the first group counts, if there
    /// is one. Specimens that are trained on and scored on are then reported.
    #[arg(long, value_name = "REGEX")]
    specimen: Option<String>,
    /// Say nothing on standard error but what is wrong.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn data(args: &DataArgs) -> Result<u8, Stop> {
    let specimen = args.specimen.as_deref().map(Regex::new).transpose();
    let specimen = specimen.map_err(|error| usage(format!("--specimen: {error}")))?;
    let place = place::open(&args.experiment)?;
    let sets = sets::all(&place, &Counter { quiet: args.quiet });
    let flows = Flows::of(&place.plan);
    let report = report::Report::new(&place, &sets);
    let report = report.with_specimens(&sets, &flows, specimen.as_ref());
    let leaks = if args.no_leaks { Ok(None) } else { leaks(&place, &sets, &flows, &Counter { quiet: args.quiet }) };
    let report = match leaks {
        Ok(leaks) => report.with_leaks(leaks),
        Err(error) => report.with_problem(&error),
    };
    print(&if args.json { report.json() } else { text::of(&report) });
    place.leave();
    if let Some(stop) = report.stop() {
        return Err(stop);
    }
    let warnings = report.warnings();
    if warnings > 0 && args.strict {
        let message = format!("error: {warnings} of what is scored on was trained on (--strict)");
        return Err(Stop::new(exit_code::BAD_DATA, message));
    }
    Ok(exit_code::DONE)
}

/// Those that are kept from last time, or found now and kept.
fn leaks(place: &Place, sets: &[sets::Set], flows: &Flows, counter: &Counter) -> Result<Option<Findings>, DataError> {
    let sets: Vec<&DataSet> = sets.iter().filter_map(|set| set.found()).collect();
    if let Some(kept) = Findings::of(&sets, flows, &place.store, None)? {
        return Ok(Some(kept));
    }
    counter.during("comparing images", |count| {
        let progress = |done: usize, total: usize| {
            count(done, total);
            true
        };
        Findings::of(&sets, flows, &place.store, Some(&progress))
    })
}

/// Progress on standard error: a bar where a person looks, one line in a pipe.
struct Counter {
    quiet: bool,
}

impl Counter {
    /// Counts `what` while `work` runs; it is told (done, total) from any thread.
    fn during<R>(&self, what: &str, work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> R) -> R {
        if self.quiet {
            return work(&|_, _| {});
        }
        if !std::io::stderr().is_terminal() {
            super::progress::say(what);
            return work(&|_, _| {});
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        let result = work(&|done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        result
    }
}
