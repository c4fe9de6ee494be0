//! `matssl-run plan FILE`: what would run, and what it will cost.

mod slurm;

use super::arguments::ExperimentArgs;
use super::foreseen::Foresights;
use super::open_experiment::{self, OpenExperiment};
use super::outcome::{Ending, Stop};
use super::output::print;
use super::wording::{plural, seconds_in_words};
use crate::lineage::drawing;
use crate::machine::{self, Bytes};
use crate::nn;
use crate::plan::{CacheState, Expected, Forecast, Plan, Total, unknown_kinds};
use clap::Args;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;
use std::path::PathBuf;

/// A family with this many members is folded: into a line for all seeds of each member or, if these are still too many, into a
/// single line.
const FOLD_FROM: usize = 9;

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
}

pub(super) fn plan(args: &PlanArgs) -> Result<Ending, Stop> {
    let experiment = open_experiment::open(&args.experiment)?;
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
            as_text(plan, &costs) + &experiment.left_out_in_words() + &warnings
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

fn as_text(plan: &Plan, costs: &Costs) -> String {
    let instances = &plan.experiment.instances;
    let count = |what: &str| plan.states.iter().filter(|state| state.word() == what).count();
    let (cached, run, waits, missing) = (count("cached"), count("run"), count("waits"), count("missing"));
    let mut text = format!("{}: {} stages", plan.experiment.name, instances.len());
    let counted = [(cached, "cached"), (run, "to run"), (waits, "waiting for these"), (missing, "without data")];
    for (n, what) in counted {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text.push('\n');
    let lines = lines(plan);
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).min(60);
    let kinds = instances.iter().map(|instance| instance.kind.name.len()).max().unwrap_or(0);
    for Line { word, name, kind, note } in &lines {
        let line = format!("  {word:<8}{name:<width$}  {kind:<kinds$}  {note}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text + &costs.text(plan)
}

/// A line of the listing: a stage, its seeds, or a family.
struct Line {
    word: &'static str,
    name: String,
    kind: &'static str,
    note: String,
}

/// Stages and families in topological order, otherwise in the order of the file. The members of a family stand together.
fn lines(plan: &Plan) -> Vec<Line> {
    let instances = &plan.experiment.instances;
    let mut families: HashMap<&str, Vec<usize>> = HashMap::new();
    for (stage, instance) in instances.iter().enumerate() {
        families.entry(&instance.family).or_default().push(stage);
    }
    let mut lines = Vec::new();
    for (stage, instance) in instances.iter().enumerate() {
        let members = &families[instance.family.as_str()];
        if members[0] != stage {
            continue;
        }
        if members.len() < FOLD_FROM {
            lines.extend(members.iter().map(|&member| one(plan, member)));
            continue;
        }
        // The seeds of a member stand together.
        let of_seeds: Vec<&[usize]> = members.chunk_by(|&a, &b| instances[a].label() == instances[b].label()).collect();
        if of_seeds.len() < FOLD_FROM && of_seeds.len() < members.len() {
            for seeds in of_seeds {
                lines.push(folded(plan, seeds, format!("{} × {} seeds", instances[seeds[0]].label(), seeds.len())));
            }
            continue;
        }
        let mut name = format!("{}.* × {}", instance.family, members.len());
        if of_seeds.len() < members.len() {
            let _ = write!(name, " ({} × {} seeds)", of_seeds.len(), members.len() / of_seeds.len());
        }
        lines.push(folded(plan, members, name));
    }
    lines
}

fn one(plan: &Plan, stage: usize) -> Line {
    let (instance, state) = (&plan.experiment.instances[stage], &plan.states[stage]);
    let note = match state {
        CacheState::WaitsOn(inputs) if inputs.len() > 3 => {
            let mut families: Vec<(&str, usize)> = Vec::new();
            for &input in inputs {
                let family = plan.experiment.instances[input].family.as_str();
                match families.last_mut() {
                    Some((last, count)) if *last == family => *count += 1,
                    _ => families.push((family, 1)),
                }
            }
            let shown: Vec<String> =
                families.iter().take(3).map(|(family, count)| format!("{count} of {family}")).collect();
            let more = if families.len() > 3 { ", …" } else { "" };
            format!("for {}{more}", shown.join(", "))
        }
        CacheState::WaitsOn(inputs) => {
            let names: Vec<&str> = inputs.iter().map(|&i| plan.experiment.instances[i].name.as_str()).collect();
            format!("for {}", names.join(", "))
        }
        CacheState::Hit(record) => format!("made in {:.1} s on {}", record.made.seconds, record.made.host),
        CacheState::Miss { .. } => String::new(),
        CacheState::Unavailable(error) => error.to_string(),
    };
    Line { word: state.word(), name: instance.name.clone(), kind: instance.kind.name, note }
}

/// Many stages on one line: the number in each state, and the families that they wait for.
fn folded(plan: &Plan, members: &[usize], name: String) -> Line {
    let mut note = String::new();
    let mut states = BTreeSet::new();
    for what in ["cached", "run", "waits", "missing"] {
        let n = members.iter().filter(|&&member| plan.states[member].word() == what).count();
        if n == 0 {
            continue;
        }
        states.insert(what);
        if n < members.len() {
            let _ = write!(note, "{}{n} {what}", if note.is_empty() { "" } else { ", " });
        }
    }
    let word = if states.len() == 1 { states.into_iter().next().unwrap_or("mixed") } else { "mixed" };
    let (mut on, mut seen) = (Vec::new(), HashSet::new());
    for &member in members {
        if let CacheState::WaitsOn(inputs) = &plan.states[member] {
            for &input in inputs {
                let family = plan.experiment.instances[input].family.as_str();
                if seen.insert(family) {
                    on.push(family);
                }
            }
        }
    }
    if !on.is_empty() {
        let more = if on.len() > 3 { format!(" and {} more", on.len() - 3) } else { String::new() };
        on.truncate(3);
        let _ = write!(note, "{}for {}{more}", if note.is_empty() { "" } else { " " }, on.join(", "));
    }
    Line { word, name, kind: plan.experiment.instances[members[0]].kind.name, note }
}

fn as_json(experiment: &OpenExperiment, costs: &Costs, foreseen: &Foresights) -> String {
    let left_out = experiment.left_out.iter().map(|of| json!({ "stages": of.stages, "fetch": of.reason }));
    let left_out: Vec<_> = left_out.collect();
    let plan = &experiment.plan;
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
                "state": state.word(),
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
