//! Which models are exported.

use super::super::arguments::ExperimentArgs;
use super::super::open_experiment::OpenExperiment;
use super::super::outcome::Stop;
use crate::cache::Record;
use crate::lineage::trains_model;
use crate::plan::CacheState;
use std::sync::Arc;

/// The finished trainings that `names` mean, in the order of the experiment.
///
/// # Errors
/// A name means no stage, or none that trains a model; a training has not finished.
pub(super) fn models(
    experiment: &OpenExperiment,
    names: &[String],
    args: &ExperimentArgs,
) -> Result<Vec<(usize, Arc<Record>)>, Stop> {
    let plan = &experiment.plan;
    let is_model = |stage: usize| trains_model(plan, stage);
    let mut found = Vec::new();
    for name in names {
        let called = experiment.stages_named(name, "STAGE")?;
        let trained: Vec<usize> = called.iter().copied().filter(|&stage| is_model(stage)).collect();
        if trained.is_empty() {
            let problem = match called.first() {
                Some(&other) => {
                    let instance = &plan.experiment.instances[other];
                    format!("`{name}` is a stage of kind {}, which trains no model for predictions", instance.kind.name)
                }
                None => format!("no stage is called `{name}`"),
            };
            let nearest = experiment.nearest(name, is_model);
            let help = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "the experiment has no stage that trains a model (`finetune`)".to_owned(),
            };
            return Err(Stop::bad_request(format!("{problem}\nhelp: {help}")));
        }
        found.extend(trained);
    }
    found.sort_unstable();
    found.dedup();
    let mut records = Vec::new();
    let mut missing = String::new();
    for stage in found {
        let name = &plan.experiment.instances[stage].name;
        match &plan.states[stage] {
            CacheState::Hit(record) => records.push((stage, Arc::clone(record))),
            CacheState::Unavailable(error) => missing += &format!("{name}: {error}\n"),
            CacheState::Miss { .. } | CacheState::WaitsOn(_) => {
                missing += &format!("{name} has not been trained yet\n")
            }
        }
    }
    if missing.is_empty() {
        return Ok(records);
    }
    let missing = missing.trim_end().replace('\n', "\nerror: ");
    Err(Stop::not_there(format!("{missing}\nhelp: `{}` trains what is missing", command(names, args))))
}

/// The command that trains the models called `names`.
fn command(names: &[String], args: &ExperimentArgs) -> String {
    let mut command = format!("matssl-run {}", args.file.display());
    names.iter().for_each(|name| command += &format!(" --only {}", quoted(name)));
    args.set.iter().for_each(|set| command += &format!(" --set {}", quoted(set)));
    if let Some(data) = &args.data {
        command += &format!(" --data {}", quoted(&data.display().to_string()));
    }
    if args.cache != std::path::Path::new("cache") {
        command += &format!(" --cache {}", quoted(&args.cache.display().to_string()));
    }
    command
}

/// As a shell needs it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+=@/:,%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
