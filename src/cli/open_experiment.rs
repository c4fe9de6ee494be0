//! An experiment file, read and planned against a cache.

use super::arguments::ExperimentArgs;
use super::outcome::{Ending, Stop};
use crate::cache::{Gate, Hits, LastKeys, Store};
use crate::experiment::{self, Experiment, LeftOut};
use crate::machine::{ask_for_memory_in_large_steps, check_folder};
use crate::plan::{CacheState, Explanation, Plan, Reason};
use crate::stage::{self, Places};
use std::path::Path;

/// An experiment with its plan, its cache, and the folders of its data.
pub(super) struct OpenExperiment {
    pub(super) store: Store,
    pub(super) places: Places,
    pub(super) plan: Plan,
    /// While it is held, `gc` leaves what the plan has found. A run lets go of it when it has written down what it uses.
    pub(super) gate: Option<Gate>,
    /// Stages of the file that are no part of the plan, because files are missing.
    pub(super) left_out: Vec<LeftOut>,
}

/// Reads the experiment and plans it, without the stages of rows that a table [leaves out](Experiment::leave_out_missing).
pub(super) fn open(args: &ExperimentArgs) -> Result<OpenExperiment, Stop> {
    open_as(args, true)
}

/// Reads the experiment and plans all of it.
pub(super) fn open_whole(args: &ExperimentArgs) -> Result<OpenExperiment, Stop> {
    open_as(args, false)
}

fn open_as(args: &ExperimentArgs, leave_out: bool) -> Result<OpenExperiment, Stop> {
    ask_for_memory_in_large_steps();
    let (experiment, ahead) =
        rayon::join(|| experiment::load(&args.file, &args.set, stage::KINDS), || look_ahead(args));
    let mut experiment = experiment?;
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let data = args.data.as_deref().unwrap_or(folder);
    let absolute = |path: &Path| std::path::absolute(path).map_err(anyhow::Error::from);
    let places = Places { data: absolute(data)?, experiment: absolute(folder)? };
    let left_out = if leave_out { experiment.leave_out_missing(&places) } else { Vec::new() };
    let (store, gate, hits) = match ahead {
        Some((store, gate, hits)) => (store, Some(gate), Some(hits)),
        None => {
            check_folder(&args.cache).map_err(|problem| not_usable("--cache", &args.cache, &problem))?;
            let store = Store::at(&args.cache).map_err(Stop::bad_request)?;
            // `plan` needs no cache, and works where none can be made. `run` reports that later.
            let _ = store.make();
            let gate = Gate::shared(&store).ok();
            (store, gate, None)
        }
    };
    let (files, stages) = (&experiment.files, experiment.instances.len());
    tracing::debug!(?files, set = ?args.set, stages, "read the experiment");
    tracing::debug!(cache = %store.root().display(), data = %places.data.display(), gate = gate.is_some(), "opened");
    let plan = Plan::new(experiment, &store, &places, hits)?;
    if tracing::enabled!(tracing::Level::DEBUG) {
        log_states(&plan, &store);
    }
    Ok(OpenExperiment { store, places, plan, gate, left_out })
}

/// A folder of the command line that cannot be used.
pub(super) fn not_usable(flag: &str, folder: &Path, problem: &str) -> Stop {
    Stop::bad_request(format!("{flag}: {} {problem}; name another folder", folder.display()))
}

/// What the experiment found in its cache last time, if there is a cache and the experiment is called as its file is: this is
/// looked up while the file is read. The gate comes first, so that `gc` leaves what is found.
fn look_ahead(args: &ExperimentArgs) -> Option<(Store, Gate, Hits)> {
    let name = args.file.file_stem()?.to_str()?;
    let store = Store::existing(&args.cache)?;
    let gate = Gate::shared(&store).ok()?;
    let hits = Hits::open(&store, name);
    Some((store, gate, hits))
}

/// One line of log for each stage: its state, its key, and why it would run.
fn log_states(plan: &Plan, store: &Store) {
    let last_keys = LastKeys::open(store, &plan.experiment.name);
    for (index, (instance, state)) in plan.experiment.instances.iter().zip(&plan.states).enumerate() {
        let (stage, state) = (&instance.name, state.word());
        match plan.explain(index, store, &last_keys) {
            Explanation::Hit { record, .. } => {
                let (key, made_for) = (record.key.0.short(), &record.made.stage);
                tracing::debug!(%stage, state, key, %made_for, "planned");
            }
            Explanation::NeverRan => tracing::debug!(%stage, state, why = "never ran in this cache", "planned"),
            Explanation::OutputGone => tracing::debug!(%stage, state, why = "its files are gone", "planned"),
            Explanation::RecordGone => tracing::debug!(%stage, state, why = "its key has changed", "planned"),
            Explanation::Changed(reasons) => tracing::debug!(%stage, state, why = in_words(&reasons), "planned"),
            Explanation::Waits { on, known, .. } => {
                let on: Vec<&str> = on.iter().map(|&i| plan.experiment.instances[i].name.as_str()).collect();
                tracing::debug!(%stage, state, on = on.join(", "), why = in_words(&known), "planned");
            }
            Explanation::Unavailable(why) => tracing::debug!(%stage, state, why, "planned"),
        }
    }
}

fn in_words(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl OpenExperiment {
    /// A line for each reason why stages are left out, with what to fetch; empty if none are.
    pub(super) fn left_out_in_words(&self) -> String {
        let line = |left_out: &LeftOut| {
            let names: Vec<&str> = left_out.stages.iter().map(String::as_str).collect();
            format!("left out: {}: fetch {}\n", some_of(&names), left_out.reason)
        };
        self.left_out.iter().map(line).collect()
    }

    /// Leaves the memory to the end of the process, which comes now: to free that of a thousand stages piece by piece takes
    /// as long as finding them cached.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }

    /// Stops a run before anything starts if something that its stages (those that `must_run`) need is missing or wrong: data
    /// sets, weights, programs. The message names all of them, each with the stages that need it.
    pub(super) fn check_ready(&self, must_run: &[bool]) -> Result<(), Stop> {
        // In the order of the first stage that needs it.
        let mut problems: Vec<(String, Ending, Vec<&str>)> = Vec::new();
        let mut of_data = false;
        let stages = self.plan.states.iter().zip(&self.plan.experiment.instances);
        for ((state, instance), _) in stages.zip(must_run).filter(|(_, must_run)| **must_run) {
            let checked;
            let error = match state {
                CacheState::Unavailable(error) => Some(error),
                _ => {
                    checked = instance.stage.ready(&self.places).err();
                    checked.as_ref()
                }
            };
            let Some(error) = error else { continue };
            of_data |= !instance.kind.spawns;
            let text = error.to_string();
            match problems.iter_mut().find(|(known, ..)| *known == text) {
                Some((.., stages)) => stages.push(&instance.name),
                None => problems.push((text, error.into(), vec![&instance.name])),
            }
        }
        let Some(ending) = problems.iter().map(|(_, ending, _)| *ending).max() else { return Ok(()) };
        let mut message: String =
            problems.iter().map(|(text, _, stages)| format!("error: {}: {text}\n", some_of(stages))).collect();
        if of_data && ending == Ending::NotThere {
            message += "help: `matssl-run data FILE` lists all data sets and weights, found and missing\n";
        }
        Err(Stop::new(ending, message))
    }

    /// The stages that `name` means: one with or without its seed, a family, or a pattern, also of seeds. `flag` is where it was
    /// given.
    pub(super) fn stages_called(&self, name: &str, flag: &str) -> Result<Vec<usize>, Stop> {
        let found = self.stages_named(name, flag)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let nearest = self.nearest(name, |_| true);
        let help = nearest.map(|nearest| format!("\nhelp: did you mean `{nearest}`?")).unwrap_or_default();
        Err(Stop::bad_request(format!("{flag}: no stage is called `{name}`{help}")))
    }

    /// As [`OpenExperiment::stages_called`], but a name that means no stage is no error.
    pub(super) fn stages_named(&self, name: &str, flag: &str) -> Result<Vec<usize>, Stop> {
        let Experiment { instances, .. } = &self.plan.experiment;
        let bad = |problem: String| Stop::bad_request(format!("{flag}: `{name}`: {problem}"));
        let pattern = experiment::Named::parse(name).map_err(bad)?;
        let called = |i: &usize| {
            let instance = &instances[*i];
            instance.name == name || pattern.names(&instance.family, instance.label())
        };
        let found: Vec<usize> = (0..instances.len()).filter(called).collect();
        let Some((label, seeds)) = name.rsplit_once('@').filter(|_| found.is_empty()) else { return Ok(found) };
        let pattern = experiment::Named::parse(label).map_err(bad)?;
        let seeds = globset::Glob::new(seeds).map_err(|error| bad(error.kind().to_string()))?.compile_matcher();
        let called = |i: &usize| {
            let instance = &instances[*i];
            let is_seed = instance.seed.is_some_and(|seed| seeds.is_match(seed.to_string()));
            is_seed && (label == instance.label() || pattern.names(&instance.family, instance.label()))
        };
        Ok((0..instances.len()).filter(called).collect())
    }

    /// The name that is most like `name` among the stages that are `wanted`; of several the first.
    pub(super) fn nearest(&self, name: &str, wanted: impl Fn(usize) -> bool) -> Option<&str> {
        let instances = self.plan.experiment.instances.iter().enumerate().filter(|(stage, _)| wanted(*stage));
        let likeness = |other: &str| strsim::jaro_winkler(other, name);
        let names = instances.map(|(_, instance)| instance.name.as_str());
        names.rev().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    }
}

/// The first of `names`, and how many more there are.
fn some_of(names: &[&str]) -> String {
    match names {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more", names.len() - 3),
        names => names.join(", "),
    }
}
