//! `matssl-run export FILE STAGE… -o DIR`: trained models as folders that stand by themselves.

mod selection;

use super::arguments::ExperimentArgs;
use super::open_experiment;
use super::outcome::{Ending, Stop, words};
use super::output::{print, say};
use crate::lineage::ModelSource;
use crate::predict::model::{ModelFolder, ModelWriteError, write_ensemble};
use crate::report::safe_names;
use crate::stage::{Folder, write_onnx};
use clap::Args;
use selection::models;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The stage that trained the model, with its seed (`segment.matssl@0`), or several: all seeds (`segment.matssl`), a pattern
    /// (`segment.*`, `segment.matssl@*`).
    #[arg(required = true, value_name = "STAGE")]
    stages: Vec<String>,
    /// The folder of the model. Of several models each gets a folder in it. A folder that `export` wrote is replaced.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    /// Write one folder, whose models predict together (mean of their probabilities).
    #[arg(long)]
    ensemble: bool,
    /// Also write the network as `model.onnx`.
    #[arg(long)]
    onnx: bool,
    /// Print the folders as JSON, with stage, digest and notes.
    #[arg(long)]
    json: bool,
    /// No notes, only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn export(args: &ExportArgs) -> Result<Ending, Stop> {
    let experiment = open_experiment::open(&args.experiment)?;
    let found = models(&experiment, &args.stages, &args.experiment)?;
    let plan = &experiment.plan;
    let mut sources = Vec::new();
    for (stage, record) in &found {
        sources.push(ModelSource::of(plan, &experiment.store, *stage, record).map_err(not_usable)?);
    }
    let mut folders: Vec<Folder<'_>> = Vec::new();
    for source in &sources {
        let mut folder =
            source.model().map_err(not_usable)?.folder().map_err(anyhow::Error::from).map_err(not_usable)?;
        if !source.waiting().is_empty() {
            folder.notes.push(format!("without the scores of {}, which has not run", source.waiting().join(", ")));
        }
        folders.push(folder);
    }
    let safe = safe_names(folders.iter().map(|folder| folder.files.description.name.as_str()));
    let mut written: Vec<ModelFolder> = Vec::new();
    if args.ensemble {
        let members: Vec<_> =
            safe.into_iter().zip(&folders).map(|(name, folder)| (name, folder.files.clone())).collect();
        written = write_ensemble(&args.out, &args.stages.join(", "), &members).map_err(not_written)?;
    } else {
        for (folder, name) in folders.iter().zip(safe) {
            let place = if folders.len() == 1 { args.out.clone() } else { args.out.join(name) };
            let files = &folder.files;
            let model = ModelFolder::write(&place, &files.description, files.weights, files.reference);
            written.push(model.map_err(not_written)?);
        }
    }
    if args.onnx {
        written.iter_mut().try_for_each(write_onnx)?;
    }
    if args.json {
        let all: Vec<_> = written.iter().zip(&folders).map(|(model, folder)| of_json(model, folder)).collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?));
        return Ok(Ending::Done);
    }
    if !args.quiet {
        for folder in &folders {
            let name = &folder.files.description.name;
            folder.notes.iter().for_each(|note| say(&format!("note: {name}: {note}")));
        }
    }
    let shown: Vec<String> = match args.ensemble {
        true => vec![args.out.display().to_string()],
        false => written.iter().map(|model| model.path.display().to_string()).collect(),
    };
    print(&format!("{}\n", shown.join("\n")));
    Ok(Ending::Done)
}

fn of_json(model: &ModelFolder, folder: &Folder<'_>) -> serde_json::Value {
    json!({
        "stage": folder.files.description.name,
        "folder": model.path.to_string_lossy(),
        "digest": model.digest,
        "notes": folder.notes,
    })
}

/// A model that lies damaged in the cache.
fn not_usable(error: anyhow::Error) -> Stop {
    Stop::new(Ending::from(&error), format!("error: {}", words(&error)))
}

fn not_written(error: ModelWriteError) -> Stop {
    match error {
        ModelWriteError::Io { path, source } => Stop::writing(&path, &source),
        ModelWriteError::Occupied { .. } => Stop::bad_request(format!("-o: {error}")),
        ModelWriteError::NoModel(error) => Stop::new(Ending::BadData, format!("error: {error}")),
    }
}
