//! `matssl-run explain FILE STAGE`: why a stage would run, or why not. With `--cell` or `--point`: where a number comes from.

mod origin;
mod provenance;
mod shared;

use super::arguments::ExperimentArgs;
use super::open_experiment;
use super::outcome::{Ending, Stop};
use super::output::print;
use super::remote::{RemoteArgs, look_into};
use crate::cache::LastKeys;
use crate::plan::{Because, Explanation, InputChange, Plan, Reason, RootCauses};
use clap::Args;
use serde_json::{Value, json};
use shared::Shared;
use std::fmt::Write;

/// Maximum number of causes and files that are listed one by one.
const MOST: usize = 6;

#[derive(Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The stage, e.g. `ssl@0`. A name without the seed, or the name of a family, means all of these stages.
    #[arg(required_unless_present_any = ["cell", "point"])]
    stage: Option<String>,
    /// Show where a cell of a table comes from. ROW is the row's label, COLUMN the heading or its name in the CSV. `TABLE:` is
    /// needed only if there are several tables.
    #[arg(long, value_name = "TABLE:ROW,COLUMN", conflicts_with_all = ["stage", "point"])]
    cell: Option<String>,
    /// Show where a point of a figure comes from. SERIES is the label of its line.
    #[arg(long, value_name = "FIGURE:SERIES,EPOCH", conflicts_with = "stage")]
    point: Option<String>,
    /// Show everything: the whole provenance and every parameter.
    #[arg(long)]
    full: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<Ending, Stop> {
    if let Some(stage) = &args.stage {
        return stages(args, stage);
    }
    let experiment = open_experiment::open(&args.experiment)?;
    let (flag, found) = match (&args.cell, &args.point) {
        (Some(cell), _) => ("--cell", origin::cell(&experiment.plan, &experiment.store, cell)),
        (None, Some(point)) => ("--point", origin::point(&experiment.plan, &experiment.store, point)),
        (None, None) => ("STAGE", Err("which stage?".to_owned())),
    };
    let trace = found.map_err(|message| Stop::bad_request(format!("{flag}: {message}")))?;
    if args.json {
        let json = serde_json::to_value(&trace).map_err(anyhow::Error::from)?;
        print(&format!("{json:#}\n"));
    } else {
        print(&origin::as_text(&trace, args.full));
    }
    Ok(Ending::Done)
}

fn stages(args: &ExplainArgs, name: &str) -> Result<Ending, Stop> {
    let shared = args.remote.open(true)?;
    let mut experiment = open_experiment::open(&args.experiment)?;
    if let Some(shared) = &shared {
        experiment = look_into(shared, experiment)?;
    }
    let (plan, store) = (&experiment.plan, &experiment.store);
    let last_keys = LastKeys::open(store, &plan.experiment.name);
    let causes = RootCauses::new(plan, store, &last_keys);
    let (mut text, mut all) = (String::new(), Vec::new());
    for stage in experiment.stages_called(name, "STAGE")? {
        let name = &plan.experiment.instances[stage].name;
        let answer = Answer::of(plan.explain(stage, store, &last_keys), plan, stage, &causes);
        let record = match &answer.explanation {
            Explanation::Hit { record, .. } => Some(record),
            _ => None,
        };
        let shared = shared.as_ref().zip(record.filter(|record| store.only_remote(record.key).is_some()));
        let shared = shared.map(|(shared, record)| Shared { cache: shared.shown(), origin: shared.origin(record.key) });
        let file = record.filter(|_| shared.is_none()).map(|record| store.record_file(record.key));
        if args.json {
            all.push(answer.as_json(plan, name, file, shared.as_ref()));
            continue;
        }
        answer.write(&mut text, plan, name, shared.as_ref());
        if let Some(file) = &file {
            let _ = writeln!(text, "  record: {}", file.display());
        }
        if let Some(record) = record.filter(|_| args.full) {
            text += &provenance::lines(record, "  ");
        }
    }
    if args.json {
        text = format!("{:#}\n", json!({ "experiment": plan.experiment.name, "stages": all }));
    }
    print(&text);
    Ok(Ending::Done)
}

/// An explanation with its root causes.
struct Answer {
    explanation: Explanation,
    inputs: Vec<InputChange>,
    because: Vec<Because>,
}

impl Answer {
    fn of(explanation: Explanation, plan: &Plan, stage: usize, causes: &RootCauses<'_>) -> Answer {
        let (inputs, because) = match &explanation {
            Explanation::Hit { reasons, .. } | Explanation::Changed(reasons) if !reasons.is_empty() => {
                causes.of_inputs(stage, reasons)
            }
            // A new stage has new inputs; that they never ran explains nothing.
            Explanation::Waits { never_ran: true, .. } => (Vec::new(), Vec::new()),
            Explanation::Waits { known, .. } => {
                let (inputs, mut because) = causes.of_inputs(stage, known);
                because.extend(causes.of_waiting(stage));
                // Both may name the same stage.
                let position = |because: &Because| {
                    plan.experiment.instances.iter().position(|instance| instance.name == because.stage)
                };
                because.sort_by_cached_key(position);
                because.dedup_by(|a, b| a.stage == b.stage);
                (inputs, because)
            }
            _ => (Vec::new(), Vec::new()),
        };
        Answer { explanation, inputs, because }
    }

    /// The state, for programs.
    fn word(&self, is_shared: bool) -> &'static str {
        match self.explanation {
            Explanation::Hit { .. } if is_shared => "shared",
            Explanation::Hit { .. } => "cached",
            Explanation::NeverRan => "never ran",
            Explanation::OutputGone => "output gone",
            Explanation::RecordGone => "record gone",
            Explanation::Changed(_) => "changed",
            Explanation::Waits { .. } => "waits",
            Explanation::Unavailable(_) => "missing",
        }
    }

    fn reasons(&self) -> &[Reason] {
        match &self.explanation {
            Explanation::Hit { reasons, .. } | Explanation::Changed(reasons) => reasons,
            Explanation::Waits { known, .. } => known,
            _ => &[],
        }
    }

    fn write(&self, text: &mut String, plan: &Plan, name: &str, shared: Option<&Shared<'_>>) {
        match &self.explanation {
            Explanation::Hit { record, reasons } => {
                let place = if shared.is_some() { "is in the shared cache" } else { "is cached" };
                let _ = writeln!(text, "{name} {place}: key {}", record.key.0.short());
                let _ = writeln!(text, "  {}", provenance::line(&record.made));
                if let Some(shared) = shared {
                    let _ = writeln!(text, "  {}", shared.line());
                }
                if !reasons.is_empty() {
                    text.push_str("  changes since this experiment last used it:\n");
                }
            }
            Explanation::NeverRan => {
                let _ = writeln!(text, "{name} would run: no stage of this name has finished in this cache");
            }
            Explanation::OutputGone => {
                let _ = writeln!(text, "{name} would run: its key is unchanged, but its files are gone from the cache");
            }
            Explanation::RecordGone => {
                let _ = writeln!(
                    text,
                    "{name} would run: its key has changed; the old record is gone from the cache, so nothing can be compared"
                );
            }
            Explanation::Changed(_) => {
                let _ = writeln!(text, "{name} would run: its key has changed");
            }
            Explanation::Waits { on, never_ran, known } => {
                let names: Vec<&str> = on.iter().map(|&i| plan.experiment.instances[i].name.as_str()).collect();
                let _ = writeln!(text, "{name} waits for {}", few(&names));
                if *never_ran {
                    text.push_str("  no stage of this name has finished in this cache\n");
                } else if known.is_empty() {
                    text.push_str(
                        "  nothing else has changed: if their content stays the same, this stage will not run\n",
                    );
                } else {
                    text.push_str("  it has changed itself, so it will run unless the result is cached:\n");
                }
            }
            Explanation::Unavailable(message) => {
                let _ = writeln!(text, "{name} cannot run: {message}");
            }
        }
        for reason in self.reasons() {
            let _ = writeln!(text, "  {reason}");
        }
        for input in &self.inputs {
            write_input(text, input);
        }
        let causes = causes(&self.because);
        for (shown, stages) in causes.iter().take(MOST) {
            let _ = writeln!(text, "  because of {}: {shown}", few(stages));
        }
        if causes.len() > MOST {
            let _ = writeln!(text, "  and {} more", causes.len() - MOST);
        }
    }

    fn as_json(
        &self,
        plan: &Plan,
        name: &str,
        record_file: Option<std::path::PathBuf>,
        shared: Option<&Shared<'_>>,
    ) -> Value {
        let (record, error, waits_on) = match &self.explanation {
            Explanation::Hit { record, .. } => (Some(record), None, Vec::new()),
            Explanation::Unavailable(message) => (None, Some(message), Vec::new()),
            Explanation::Waits { on, .. } => {
                (None, None, on.iter().map(|&i| plan.experiment.instances[i].name.as_str()).collect())
            }
            _ => (None, None, Vec::new()),
        };
        let reasons: Vec<Value> = self.reasons().iter().map(|reason| json!(reason)).collect();
        json!({
            "stage": name,
            "state": self.word(shared.is_some()),
            "key": record.map(|record| record.key),
            "record": record_file,
            "shared": shared.map(Shared::as_json),
            "made": record.map(|record| &record.made),
            "telemetry": record.map(|record| &record.telemetry),
            "inputs": record.map(|record| &record.material.inputs),
            "outputs": record.map(|record| &record.outputs),
            "waits_on": waits_on,
            "reasons": reasons,
            "changed_inputs": self.inputs,
            "because": self.because,
            "error": error,
        })
    }
}

/// (change, stages that it concerns), in the order of the first stage. Seeds of one stage mostly share a change.
fn causes(because: &[Because]) -> Vec<(String, Vec<&str>)> {
    let mut causes: Vec<(String, Vec<&str>)> = Vec::new();
    for because in because {
        let reasons: Vec<String> = because.reasons.iter().map(Reason::to_string).collect();
        let shown: Vec<&str> = reasons.iter().map(String::as_str).chain(because.note).collect();
        let shown = shown.join("; ");
        match causes.iter_mut().find(|(known, _)| *known == shown) {
            Some((_, stages)) => stages.push(&because.stage),
            None => causes.push((shown, vec![&because.stage])),
        }
    }
    causes
}

fn write_input(text: &mut String, input: &InputChange) {
    if input.unknown {
        let _ =
            writeln!(text, "  the old output of {} is gone from the cache: its files cannot be compared", input.stage);
        return;
    }
    for file in input.files.iter().take(MOST) {
        let short = |digest: Option<crate::cache::Digest>, none: &str| {
            digest.map_or_else(|| none.to_owned(), |digest| digest.short())
        };
        let (old, new) = (short(file.old, "(not there)"), short(file.new, "(gone)"));
        let _ = writeln!(text, "  file {} of {}: {old} → {new}", file.path, input.stage);
    }
    if input.files.len() > MOST {
        let _ = writeln!(text, "  and {} more files of {}", input.files.len() - MOST, input.stage);
    }
}

/// A list of stages. From three seeds of a stage on it is one entry, and a long list is cut.
fn few(names: &[&str]) -> String {
    let label = |name: &str| name.rsplit_once('@').map_or(name, |(label, _)| label).to_owned();
    let folded: Vec<String> = names
        .chunk_by(|a, b| label(a) == label(b))
        .flat_map(|seeds| match seeds.len() {
            0..3 => seeds.iter().map(|&name| name.to_owned()).collect(),
            count => vec![format!("{} × {count} seeds", label(seeds[0]))],
        })
        .collect();
    let names = folded;
    if names.len() <= 2 * MOST {
        return names.join(", ");
    }
    format!("{} and {} more", names[..MOST].join(", "), names.len() - MOST)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_many_stages_are_short() {
        assert_eq!(super::few(&["a@0", "a@1", "b"]), "a@0, a@1, b");
        assert_eq!(super::few(&["a@0", "a@1", "a@2", "b@0", "c"]), "a × 3 seeds, b@0, c");
        let many: Vec<String> = (0..50).map(|i| format!("s{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(super::few(&many).ends_with(" more"));
    }
}
