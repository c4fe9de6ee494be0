//! `matssl-run cancel FILE`: cancels the Slurm jobs of an experiment.

use super::outcome::{Ending, Stop};
use super::output::{print, say};
use super::wording::plural;
use crate::cache::Store;
use crate::exec;
use crate::experiment;
use crate::stage;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CancelArgs {
    /// The experiment.
    file: PathBuf,
    /// The cache folder.
    #[arg(long, value_name = "DIR", env = "MATSSL_CACHE", default_value = "cache")]
    cache: PathBuf,
}

pub(super) fn cancel(args: &CancelArgs) -> Result<Ending, Stop> {
    let name = experiment::load(&args.file, &[], stage::KINDS)?.name;
    let jobs = match args.cache.exists() {
        true => {
            let store = Store::at(&args.cache)?;
            exec::queued_jobs(&store, Some(&name)).map_err(|error| Stop::not_there(format!("{error:#}")))?
        }
        false => Vec::new(),
    };
    if jobs.is_empty() {
        print(&format!("no jobs of {name} wait or run\n"));
        return Ok(Ending::Done);
    }
    exec::cancel_jobs(&jobs).map_err(|error| Stop::not_there(format!("{error:#}")))?;
    for job in &jobs {
        say(&format!("cancelled {} ({})", job.job, job.stage));
    }
    print(&format!("cancelled {} of {name}\n", plural(jobs.len(), "job")));
    Ok(Ending::Done)
}
