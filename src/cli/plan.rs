//! `matssl-run plan FILE`: what would run, and what it will cost.

mod lines;
mod slurm;

use super::arguments::ExperimentArgs;
use super::foreseen::Foresights;
use super::open_experiment::{self, OpenExperiment};
use super::outcome::{Ending, Stop};
use super::output::print;
use super::remote::{RemoteArgs, look_into};
use super::wording::{plural, seconds_in_words};
use crate::lineage::drawing;
use crate::machine::{self, Bytes};
use crate::nn;
use crate::plan::{CacheState, Expected, Forecast, Plan, Total, unknown_kinds};
use clap::Args;
use lines::{Line, SHARED, lines};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Print everything as JSON: every stage with every parameter.
    #[arg(long, group = "form")]
    json: bool,
    /// Print the graph of families for Graphviz.
    #[arg(long, group = "form")]
    dot: bool,
    /// Write the graph of families to a file, as SVG.
    #[arg(long, value_name = "FILE", group = "form")]
    svg: Option<PathBuf>,
    /// Write job scripts for Slurm to a folder, to submit by hand; `submit.sh` there submits them all.
    #[arg(long, value_name = "DIR", group = "form")]
    slurm: Option<PathBuf>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn plan(args: &PlanArgs) -> Result<Ending, Stop> {
    // Jobs that a person submits ask for themselves, from the nodes.
    let shared = if args.slurm.is_some() { None } else { args.remote.open(true)? };
    let mut experiment = open_experiment::open(&args.experiment)?;
    if let Some(shared) = &shared {
        experiment = look_into(shared, experiment)?;
    }
    let plan = &experiment.plan;
    if args.dot {
        print(&drawing(plan).dot());
    } else if let Some(folder) = &args.slurm {
        let costs = Costs::of(plan, &experiment.store);
        slurm::write_scripts(&args.experiment, plan, &costs.must_run, &|stage| costs.memory(stage), folder)?;
    } else if let Some(path) = &args.svg {
        let written = std::fs::write(path, drawing(plan).svg());
        written.map_err(|error| Stop::writing(path, &error))?;
    } else {
        let costs = Costs::of(plan, &experiment.store);
        let foreseen = Foresights::of(&experiment, &costs.must_run, &BTreeMap::new());
        let foreseen = foreseen.with_weights(&experiment, &costs.must_run);
        let warnings: String = foreseen.warnings.iter().map(|line| format!("\nwarning: {}\n", line.text())).collect();
        print(&if args.json {
            as_json(&experiment, &costs, &foreseen)
        } else {
            as_text(&experiment, &costs) + &experiment.left_out_in_words() + &warnings
        });
        if let Some(stop) = foreseen.stop() {
            experiment.leave();
            return Err(stop);
        }
    }
    experiment.leave();
    Ok(Ending::Done)
}

/// The forecast; none if nothing would run, because it reads all records.
struct Costs {
    forecast: Option<(Forecast, Total)>,
    must_run: Vec<bool>,
    cores: usize,
    gpus: usize,
}

impl Costs {
    fn of(plan: &Plan, store: &crate::cache::Store) -> Costs {
        let must_run: Vec<bool> = plan.states.iter().map(|state| !matches!(state, CacheState::Hit(_))).collect();
        let (cores, gpus) = (machine::cores(), nn::device::gpus().unwrap_or(0));
        let forecast = must_run.contains(&true).then(|| {
            let forecast = Forecast::new(plan, store, &must_run, gpus > 0);
            let total = forecast.total(&plan.dag, cores);
            (forecast, total)
        });
        Costs { forecast, must_run, cores, gpus }
    }

    /// Expected memory of a stage in bytes.
    fn memory(&self, stage: usize) -> Option<u64> {
        let (forecast, _) = self.forecast.as_ref()?;
        Some(forecast.stages[stage].as_ref()?.memory_mib? << 20)
    }

    /// The last paragraph; empty if nothing would run.
    fn text(&self, plan: &Plan) -> String {
        let Some((forecast, total)) = &self.forecast else { return String::new() };
        let Some(seconds) = total.seconds else {
            return "\nno forecast: no stage of these kinds has run in this cache yet\n".to_owned();
        };
        let mut text = format!("\nforecast: about {} on {}", seconds_in_words(seconds), plural(self.cores, "core"));
        if self.gpus > 0 {
            let _ = write!(text, " and {}", plural(self.gpus, "GPU"));
        }
        if total.gpu_seconds > 0.0 {
            // As clusters count them.
            let hours = total.gpu_seconds / 3600.0;
            let digits = if hours < 0.1 { 3 } else { 1 };
            let _ = write!(text, " ({hours:.digits$} GPU hours)");
        }
        let _ = write!(text, ", {} in the cache", Bytes(total.bytes));
        if let Some(mib) = total.memory_mib {
            let _ = write!(text, ", at most {} of memory", Bytes(mib << 20));
        }
        let _ = write!(text, "; estimated from {}", plural(total.records, "record"));
        if total.other_device > 0 {
            let _ = write!(text, " (for {} from another kind of device)", plural(total.other_device, "stage"));
        }
        if total.unknown > 0 {
            let kinds: Vec<&str> = unknown_kinds(plan, forecast, &self.must_run).into_keys().collect();
            let what = if kinds.len() == 1 { "a kind" } else { "kinds" };
            let verb = if total.unknown == 1 { "is" } else { "are" };
            let stages = plural(total.unknown, "stage");
            let _ = write!(
                text,
                "; {stages} of {what} that never ran in this cache ({}) {verb} not included",
                kinds.join(", ")
            );
        }
        text + "\n"
    }
}

/// The word for the state of each stage.
fn words(experiment: &OpenExperiment) -> Vec<&'static str> {
    let word = |state: &CacheState| match state {
        CacheState::Hit(record) if experiment.store.only_remote(record.key).is_some() => SHARED,
        state => state.word(),
    };
    experiment.plan.states.iter().map(word).collect()
}

fn as_text(experiment: &OpenExperiment, costs: &Costs) -> String {
    let (plan, words) = (&experiment.plan, words(experiment));
    let instances = &plan.experiment.instances;
    let mut text = format!("{}: {} stages", plan.experiment.name, instances.len());
    let counted = [
        ("cached", "cached"),
        (SHARED, "in the shared cache"),
        ("run", "to run"),
        ("waits", "waiting for these"),
        ("missing", "without data"),
    ];
    for (word, what) in counted {
        let n = words.iter().filter(|other| **other == word).count();
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text.push('\n');
    let lines = lines(plan, &words);
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).min(60);
    let kinds = instances.iter().map(|instance| instance.kind.name.len()).max().unwrap_or(0);
    for Line { word, name, kind, note } in &lines {
        let line = format!("  {word:<8}{name:<width$}  {kind:<kinds$}  {note}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text + &costs.text(plan)
}

fn as_json(experiment: &OpenExperiment, costs: &Costs, foreseen: &Foresights) -> String {
    let left_out = experiment.left_out.iter().map(|of| json!({ "stages": of.stages, "fetch": of.reason }));
    let left_out: Vec<_> = left_out.collect();
    let (plan, words) = (&experiment.plan, words(experiment));
    let instances = &plan.experiment.instances;
    let stages: Vec<_> = (0..instances.len())
        .map(|stage| {
            let (instance, state) = (&instances[stage], &plan.states[stage]);
            let key = match state {
                CacheState::Hit(record) => Some(record.key),
                CacheState::Miss { key, .. } => Some(*key),
                _ => None,
            };
            let waits_on: Vec<&str> = match state {
                CacheState::WaitsOn(inputs) => inputs.iter().map(|&i| instances[i].name.as_str()).collect(),
                _ => Vec::new(),
            };
            let inputs: Vec<_> = instance
                .inputs
                .iter()
                .map(|input| json!({ "role": input.role, "stage": instances[input.instance].name, "label": input.label }))
                .collect();
            json!({
                "stage": instance.name,
                "family": instance.family,
                "axes": instance.axes,
                "kind": instance.kind.name,
                "seed": instance.seed,
                "params": instance.params,
                "inputs": inputs,
                "state": words[stage],
                "key": key,
                "waits_on": waits_on,
                "forecast": costs.forecast.as_ref().and_then(|(forecast, _)| forecast.stages[stage].as_ref()).map(expected),
            })
        })
        .collect();
    let forecast = costs.forecast.as_ref().map(|(_, total)| {
        json!({
            "seconds": total.seconds,
            "cores": costs.cores,
            "gpus": costs.gpus,
            "gpu_seconds": total.gpu_seconds,
            "bytes": total.bytes,
            "memory_mib": total.memory_mib,
            "records": total.records,
            "stages": total.stages,
            "stages_not_counted": total.unknown,
            "stages_from_another_device": total.other_device,
        })
    });
    let experiment = &plan.experiment;
    let all = json!({
        "experiment": experiment.name,
        "title": experiment.title,
        "stages": stages,
        "left_out": left_out,
        "forecast": forecast,
        "problems": foreseen.problems,
        "warnings": foreseen.warnings,
    });
    format!("{all:#}\n")
}

fn expected(expected: &Expected) -> Value {
    json!({
        "seconds": expected.seconds,
        "gpu_seconds": expected.gpu_seconds,
        "threads": expected.threads,
        "bytes": expected.bytes,
        "memory_mib": expected.memory_mib,
        "records": expected.from,
        "same_device": expected.same_device,
    })
}
