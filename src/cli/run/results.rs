//! The end of a run: copies reports, prints tables, writes the page, and says how the run ended.

use super::super::comparison_progress::ComparisonProgress;
use super::super::open_experiment::OpenExperiment;
use super::super::outcome::{Ending, Stop};
use super::super::output::{print, say};
use super::args::RunArgs;
use crate::exec::{self, Outcome, Signals, StageOutcome};
use crate::experiment::Section;
use crate::lineage;
use crate::page;
use crate::plan::CacheState;
use std::path::Path;
use std::sync::Arc;

/// Leaves the results of a run in `folder`; `total` stages were asked for.
pub(super) fn finish(
    experiment: &mut OpenExperiment,
    outcome: &Outcome,
    total: usize,
    folder: &Path,
    args: &RunArgs,
    signals: Option<&Signals>,
) -> Result<Ending, Stop> {
    let exported = export(experiment, outcome, folder)?;
    let mut stopped = outcome.interrupted;
    if exported > 0 {
        for (state, stage) in experiment.plan.states.iter_mut().zip(&outcome.stages) {
            if let (StageOutcome::Done(record), CacheState::WaitsOn(_) | CacheState::Miss { .. }) = (stage, &*state) {
                *state = CacheState::Hit(Arc::clone(record));
            }
        }
        stopped = write_page(experiment, outcome, folder, args, signals);
    }
    if !args.quiet {
        let done = outcome.stages.iter().filter(|stage| matches!(stage, StageOutcome::Done(_))).count();
        let cached = done - outcome.ran;
        say(&format!("{done} of {total} stages done: {} ran, {cached} cached, {:.2} s", outcome.ran, outcome.seconds));
        if exported > 0 {
            say(&format!("reports in {}", folder.display()));
        }
    }
    if stopped {
        say("interrupted: finished stages are kept; the next run continues trainings from their last checkpoints");
        return Ok(Ending::Interrupted);
    }
    let first_failure = outcome.stages.iter().find_map(|stage| match stage {
        StageOutcome::Failed(failure) => Some(failure.class),
        _ => None,
    });
    Ok(first_failure.map_or(Ending::Done, Ending::from))
}

/// Copies the reports to `folder` and prints the tables. Returns the number of report stages.
fn export(experiment: &OpenExperiment, outcome: &Outcome, folder: &Path) -> Result<usize, Stop> {
    let (mut exported, mut tables) = (0, String::new());
    for (stage, instance) in experiment.plan.experiment.instances.iter().enumerate() {
        let StageOutcome::Done(record) = &outcome.stages[stage] else { continue };
        if !instance.kind.section.is_report() {
            continue;
        }
        exec::export(&experiment.store, [record.as_ref()], folder)?;
        if instance.kind.section == Section::Models {
            let records = |stage: usize| match &outcome.stages[stage] {
                StageOutcome::Done(record) => Some(Arc::clone(record)),
                _ => None,
            };
            lineage::complete_models(&experiment.plan, stage, record, &records, folder)?;
        }
        tracing::debug!(stage = %instance.name, folder = %folder.display(), "copied a report");
        exported += 1;
        // Copied files and pictures are no tables.
        let is_table = matches!(instance.kind.section, Section::Tables | Section::DataTables);
        for output in record.outputs.iter().filter(|output| is_table && output.path.ends_with(".txt")) {
            tables += &String::from_utf8_lossy(&experiment.store.read(output)?);
            tables.push('\n');
        }
    }
    print(&tables);
    Ok(exported)
}

/// Writes the page of all results, and warns about leaks. Without the page the run is still a success. Returns whether a
/// signal asked to stop.
fn write_page(
    experiment: &OpenExperiment,
    outcome: &Outcome,
    folder: &Path,
    args: &RunArgs,
    signals: Option<&Signals>,
) -> bool {
    let comparison = ComparisonProgress::new(args.quiet, signals);
    let seen = |done: usize, total: usize| comparison.seen(done, total);
    let progress: Option<page::PageProgress<'_>> = if outcome.interrupted { None } else { Some(&seen) };
    let written = page::write_page(&experiment.plan, &experiment.store, &experiment.places, folder, progress);
    let stopped = outcome.interrupted || comparison.is_stopped();
    drop(comparison);
    let mut command = format!("matssl-run data {}", args.experiment.file.display());
    if let Some(data) = &args.experiment.data {
        command += &format!(" --data {}", data.display());
    }
    match written {
        Ok(page::PageOutcome { page: Some(page), leaks, problem }) => {
            if let Some(leaks) = leaks.filter(|leaks| leaks.scored > 0) {
                let images = match leaks.scored {
                    1 => "1 image that is scored on was".to_owned(),
                    more => format!("{more} images that are scored on were"),
                };
                let page = page.display();
                say(&format!("warning: data: {images} also trained on, whole or in part; see {page} or `{command}`"));
            }
            if let Some(problem) = problem {
                say(&format!("warning: images were not compared with each other: {problem}"));
            }
        }
        Ok(_) => {}
        Err(error) => say(&format!("warning: the page of all results was not written: {error:#}")),
    }
    stopped
}
