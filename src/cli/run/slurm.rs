//! `--executor slurm`: what the site file and the arguments say of jobs.

use super::super::device::Device;
use super::super::outcome::Stop;
use super::super::output::ask;
use super::super::site::Site;
use super::super::wording::plural;
use super::args::{ExecutorName, OnInterruptName, RunArgs};
use crate::exec::{OnInterrupt, SlurmOptions, SlurmSettings};
use crate::nn::DeviceName;
use crate::stage::KINDS;
use std::io::IsTerminal;

/// `None` if stages run on this machine.
pub(super) fn options(args: &RunArgs) -> Result<Option<SlurmOptions>, Stop> {
    if args.executor == ExecutorName::Local {
        return match args.max_jobs {
            Some(_) => Err(Stop::bad_request("--max-jobs: only with --executor slurm; without it use --jobs")),
            None => Ok(None),
        };
    }
    let mut settings = settings()?;
    if let Some(most) = args.max_jobs {
        settings.max_jobs = most as usize;
    }
    let device = match args.device {
        Device::One(DeviceName::Cpu) => None,
        Device::One(DeviceName::Cuda(number)) if number > 0 => {
            let message = format!("--device cuda:{number}: a job sees only its own GPU; use --device cuda");
            return Err(Stop::bad_request(message));
        }
        Device::AllGpus if !KINDS.iter().any(|kind| settings.has_gpu(kind.name)) => {
            return Err(Stop::bad_request("--device cuda: the site file's [slurm] has no `gpu`, e.g. gpu = \"gpu:1\""));
        }
        // For tests of how GPUs are asked for.
        _ if std::env::var_os("MATSSL_PRETENDED_GPUS").is_some() => Some(DeviceName::Pretended(0)),
        _ => Some(DeviceName::Cuda(0)),
    };
    let on_interrupt = match args.on_interrupt {
        OnInterruptName::Ask if std::io::stdin().is_terminal() => OnInterrupt::Ask(ask_to_cancel),
        OnInterruptName::Ask | OnInterruptName::Leave => OnInterrupt::Leave,
        OnInterruptName::Cancel => OnInterrupt::Cancel,
    };
    Ok(Some(SlurmOptions { settings, device, on_interrupt }))
}

/// `[slurm]` of the site file.
pub(in super::super) fn settings() -> Result<SlurmSettings, Stop> {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let table = Site::read()?.slurm.unwrap_or_default();
    SlurmSettings::from_table(&table, &names).map_err(|wrong| Stop::bad_request(format!("the site file: {wrong}")))
}

/// Asks what becomes of so many jobs, unless it `gives_up`; true: they are cancelled.
fn ask_to_cancel(jobs: usize, gives_up: &dyn Fn() -> bool) -> bool {
    let question = format!("{} in Slurm: [l]eave them there or [c]ancel them? ", plural(jobs, "job"));
    let answer = ask(&question, gives_up).unwrap_or_default();
    ["c", "cancel"].iter().any(|word| answer.trim().eq_ignore_ascii_case(word))
}
