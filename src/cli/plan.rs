//! `matssl-run plan FILE`: what would run.

use super::{ExperimentArgs, Stop, place, print};
use crate::exit_code;
use crate::plan::{Plan, State};
use clap::Args;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write;

/// Members of a family that are still listed one by one; larger families are folded to a line.
const FOLD_FROM: usize = 9;

#[derive(Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Print everything as JSON: every stage with every parameter.
    #[arg(long)]
    json: bool,
}

pub(super) fn plan(args: &PlanArgs) -> Result<u8, Stop> {
    let place = place::open(&args.experiment)?;
    let text = if args.json { as_json(&place.plan) } else { as_text(&place.plan) };
    print(&text);
    Ok(exit_code::DONE)
}

fn word(state: &State) -> &'static str {
    match state {
        State::Hit(_) => "cached",
        State::Miss { .. } => "run",
        State::WaitsOn(_) => "waits",
        State::Unavailable(_) => "missing",
    }
}

fn as_text(plan: &Plan) -> String {
    let instances = &plan.experiment.instances;
    let count = |what: &str| plan.states.iter().filter(|state| word(state) == what).count();
    let (cached, run, waits, missing) = (count("cached"), count("run"), count("waits"), count("missing"));
    let mut text = format!("{}: {} stages", plan.experiment.name, instances.len());
    let counted = [(cached, "cached"), (run, "to run"), (waits, "waiting on these"), (missing, "without their data")];
    for (n, what) in counted {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text.push('\n');
    let mut families: HashMap<&str, Vec<usize>> = HashMap::new();
    for (stage, instance) in instances.iter().enumerate() {
        families.entry(&instance.family).or_default().push(stage);
    }
    let width = instances.iter().map(|instance| instance.name.chars().count()).max().unwrap_or(0).min(60);
    // Stages stand in topological order, otherwise in the file's.
    for (stage, instance) in instances.iter().enumerate() {
        let members = &families[instance.family.as_str()];
        if members.len() >= FOLD_FROM {
            if members[0] == stage {
                let name = format!("{}.* × {}", instance.family, members.len());
                let mut states = String::new();
                for what in ["cached", "run", "waits", "missing"] {
                    let n = members.iter().filter(|&&i| word(&plan.states[i]) == what).count();
                    if n > 0 {
                        let _ = write!(states, "{}{n} {what}", if states.is_empty() { "" } else { ", " });
                    }
                }
                let _ = writeln!(text, "  {:<8}{name:<width$}  {:<11} {states}", "family", instance.kind);
            }
            continue;
        }
        let state = &plan.states[stage];
        let note = match state {
            State::WaitsOn(inputs) => {
                let names: Vec<&str> = inputs.iter().take(3).map(|&i| instances[i].name.as_str()).collect();
                let more = if inputs.len() > 3 { format!(" and {} more", inputs.len() - 3) } else { String::new() };
                format!("on {}{more}", names.join(", "))
            }
            State::Hit(record) => format!("made in {:.1} s on {}", record.made.seconds, record.made.host),
            State::Miss { .. } => String::new(),
            State::Unavailable(error) => error.to_string(),
        };
        let line = format!("  {:<8}{:<width$}  {:<11} {note}", word(state), instance.name, instance.kind);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn as_json(plan: &Plan) -> String {
    let instances = &plan.experiment.instances;
    let stages: Vec<_> = (0..instances.len())
        .map(|stage| {
            let (instance, state) = (&instances[stage], &plan.states[stage]);
            let key = match state {
                State::Hit(record) => Some(record.key),
                State::Miss { key, .. } => Some(*key),
                _ => None,
            };
            let waits_on: Vec<&str> = match state {
                State::WaitsOn(inputs) => inputs.iter().map(|&i| instances[i].name.as_str()).collect(),
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
                "kind": instance.kind,
                "seed": instance.seed,
                "params": instance.params,
                "inputs": inputs,
                "state": word(state),
                "key": key,
                "waits_on": waits_on,
            })
        })
        .collect();
    let all = json!({ "experiment": plan.experiment.name, "title": plan.experiment.title, "stages": stages });
    format!("{all:#}\n")
}
