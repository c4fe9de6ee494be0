//! From the arguments to an experiment held against a cache.

use super::{ExperimentArgs, Stop};
use crate::cache::{Gate, Hits, Store};
use crate::exit_code;
use crate::experiment::{self, Experiment, Rejected};
use crate::machine::ask_for_memory_in_large_steps;
use crate::plan::{Plan, State};
use crate::stage::{self, Places, StageError};
use std::io::IsTerminal;
use std::path::Path;

/// An experiment, its cache, and where its data lies.
pub(super) struct Place {
    pub(super) store: Store,
    pub(super) places: Places,
    pub(super) plan: Plan,
    /// `gc` leaves what the plan found; a run lets go when it has written that down.
    pub(super) gate: Option<Gate>,
}

impl Place {
    /// For a process that ends now: to give a thousand stages' memory back piece by piece takes as long as to find them
    /// cached.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

/// Reads the experiment and plans it.
pub(super) fn open(args: &ExperimentArgs) -> Result<Place, Stop> {
    ask_for_memory_in_large_steps();
    let (experiment, ahead) =
        rayon::join(|| experiment::load(&args.file, &args.set, stage::KINDS), || look_ahead(args));
    let experiment = experiment.map_err(|rejected| {
        let code = match &rejected {
            Rejected::Unreadable { .. } | Rejected::Wrong(_) => exit_code::BAD_EXPERIMENT,
        };
        Stop::new(code, rejected.render(colour_on_stderr()))
    })?;
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let data = args.data.as_deref().unwrap_or(folder);
    let absolute = |path: &Path| std::path::absolute(path).map_err(anyhow::Error::from);
    let places = Places { data: absolute(data)?, experiment: absolute(folder)? };
    let (store, gate, hits) = match ahead {
        Some((store, gate, hits)) => (store, Some(gate), Some(hits)),
        None => {
            let store = Store::at(&args.cache)?;
            // Who only looks needs none, and may be where none can be made; a run says so.
            let _ = store.make();
            let gate = Gate::shared(&store).ok();
            (store, gate, None)
        }
    };
    let plan = Plan::new(experiment, &store, &places, hits)?;
    Ok(Place { store, places, plan, gate })
}

/// While the file is read: what its experiment found last in a cache that is there, if it is called as its file is.
/// The gate comes first, so that `gc` leaves what is found.
fn look_ahead(args: &ExperimentArgs) -> Option<(Store, Gate, Hits)> {
    let name = args.file.file_stem()?.to_str()?;
    let store = Store::existing(&args.cache)?;
    let gate = Gate::shared(&store).ok()?;
    let hits = Hits::open(&store, name);
    Some((store, gate, hits))
}

impl Place {
    /// What the stages that `must_run` need from outside, and is missing or wrong, stops a run before anything starts: data
    /// sets, weights, programs, all at once, each with the stages that need it.
    pub(super) fn check_ready(&self, must_run: &[bool]) -> Result<(), Stop> {
        // In the order of the first stage that needs it.
        let mut problems: Vec<(String, u8, Vec<&str>)> = Vec::new();
        let mut of_data = false;
        let stages = self.plan.states.iter().zip(&self.plan.experiment.instances);
        for ((state, instance), _) in stages.zip(must_run).filter(|(_, must_run)| **must_run) {
            let checked;
            let error = match state {
                State::Unavailable(error) => Some(error),
                _ => {
                    checked = instance.stage.ready(&self.places).err();
                    checked.as_ref()
                }
            };
            let Some(error) = error else { continue };
            of_data |= !instance.kind.spawns;
            let (text, code) = (error.to_string(), exit_code_of(error));
            match problems.iter_mut().find(|(known, ..)| *known == text) {
                Some((.., stages)) => stages.push(&instance.name),
                None => problems.push((text, code, vec![&instance.name])),
            }
        }
        let Some(code) = problems.iter().map(|(_, code, _)| *code).max() else { return Ok(()) };
        let mut message: String =
            problems.iter().map(|(text, _, stages)| format!("error: {}: {text}\n", some_of(stages))).collect();
        if of_data && code == exit_code::NOT_THERE {
            message +=
                "help: `matssl-run data FILE` lists all data sets and weights, what is there and what is missing\n";
        }
        Err(Stop::new(code, message))
    }

    /// The stage called `name`, with or without its seed, or all of a family or a pattern.
    pub(super) fn stages_called(&self, name: &str, flag: &str) -> Result<Vec<usize>, Stop> {
        let Experiment { instances, .. } = &self.plan.experiment;
        let bad = |problem: String| Stop::new(exit_code::BAD_EXPERIMENT, format!("error: {flag}: `{name}`: {problem}"));
        let pattern = experiment::Named::parse(name).map_err(bad)?;
        let called = |i: &usize| {
            let instance = &instances[*i];
            instance.name == name || pattern.names(&instance.family, instance.label())
        };
        let found: Vec<usize> = (0..instances.len()).filter(called).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let nearest = instances.iter().max_by(|a, b| {
            let likeness = |instance: &experiment::Instance| strsim::jaro_winkler(&instance.name, name);
            likeness(a).total_cmp(&likeness(b))
        });
        let help = nearest.map(|instance| format!("\nhelp: did you mean `{}`?", instance.name)).unwrap_or_default();
        Err(Stop::new(exit_code::BAD_EXPERIMENT, format!("error: {flag}: no stage is called `{name}`{help}")))
    }
}

/// The first of `names`, and how many more there are.
fn some_of(names: &[&str]) -> String {
    match names {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more", names.len() - 3),
        names => names.join(", "),
    }
}

fn exit_code_of(error: &StageError) -> u8 {
    match error {
        StageError::NotThere(_) => exit_code::NOT_THERE,
        StageError::BadData(_) => exit_code::BAD_DATA,
        StageError::Failed(_) | StageError::Stopped(_) | StageError::Lost { .. } => exit_code::STAGE_FAILED,
    }
}

/// Colour where a person looks, as `NO_COLOR` and pipes ask.
pub(super) fn colour_on_stderr() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}
