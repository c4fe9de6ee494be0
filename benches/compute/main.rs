//! The compute layer against PyTorch, in one run: `cargo bench --bench compute`. See `benches/README.md`.

mod ours;
mod roofline;
mod shapes;
mod table;
mod workers;
mod workloads;

use anyhow::{Result, ensure};
use clap::Parser;
use matssl_run::exec::machine;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use table::{Measured, Timed};
use workers::{Pytorch, Side, Worker};
use workloads::Workload;

/// Rounds that are not counted.
const WARM_UP: usize = 2;

/// Times the compute layer beside PyTorch, alternating, and prints medians and ratios.
#[derive(Parser)]
struct Arguments {
    /// Only workloads whose name holds one of these, separated by commas, e.g. `unet++,conv/resnet50`; `=NAME` for one
    /// exactly; `steps` for whole steps; `roofline` for what the machine could do.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Rounds of every workload in place of each one's own number.
    #[arg(long)]
    rounds: Option<usize>,
    /// Threads of each side.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python that has torch, torchvision, segmentation_models_pytorch and lightly.
    #[arg(long, env = "MATSSL_PYTHON", default_value = "python3")]
    python: PathBuf,
    /// Our side alone.
    #[arg(long)]
    alone: bool,
    /// Also writes every round to this file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Lists the workloads and what the workers are told.
    #[arg(long)]
    list: bool,
    /// Is a worker (started by the benchmark itself).
    #[arg(long, hide = true)]
    worker: bool,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.worker {
        return ours::work();
    }
    ensure!(arguments.threads > 0 && arguments.rounds != Some(0), "no threads or no rounds");
    let wants_roofline = arguments.only.as_deref().is_none_or(|only| only.split(',').any(|word| word == "roofline"));
    let chosen: Vec<Workload> =
        workloads::all()?.into_iter().filter(|workload| is_chosen(workload, arguments.only.as_deref())).collect();
    ensure!(wants_roofline || !chosen.is_empty(), "no workload has such a name: --list shows all");
    if arguments.list {
        chosen.iter().for_each(|workload| println!("{}: {}", workload.name, workload.spec));
        return Ok(());
    }
    let pytorch = if arguments.alone || chosen.is_empty() {
        None
    } else {
        match Pytorch::find(&arguments.python) {
            Ok(pytorch) => Some(pytorch),
            Err(reason) => {
                eprintln!("PyTorch is left out, `{}` cannot import it all: {reason}", arguments.python.display());
                None
            }
        }
    };
    let all = measure(chosen, pytorch.as_ref(), &arguments)?;
    heading(pytorch.as_ref(), arguments.threads);
    if let Some(others) = table::others(&all) {
        let verdict = if others > table::QUIET { ": **too busy, the times below are not to be quoted**" } else { "" };
        println!("- other processes took {:.1} % of the processors in the median round{verdict}", 100.0 * others);
    }
    println!();
    let part = |whole: bool| all.iter().filter(|measured| measured.workload.whole == whole).collect::<Vec<_>>();
    let (steps, operations) = (part(true), part(false));
    if !steps.is_empty() {
        println!("{}", table::steps(&steps));
    }
    if !operations.is_empty() {
        println!("GFLOP/s count the operations of direct convolution, also where Winograd's way needs fewer.\n");
        println!("{}", table::operations(&operations));
    }
    if wants_roofline {
        roofline::print(arguments.threads)?;
    }
    if let Some(path) = &arguments.csv {
        std::fs::write(path, table::csv(&all))?;
    }
    Ok(())
}

fn is_chosen(workload: &Workload, only: Option<&str>) -> bool {
    let Some(only) = only else { return true };
    only.split(',').any(|word| match (word, word.strip_prefix('=')) {
        (_, Some(name)) => workload.name == name,
        ("steps", _) => workload.whole,
        // Else it would be everything.
        ("" | "roofline", _) => false,
        (word, _) => workload.name.contains(word),
    })
}

/// Times all workloads. Whole steps have workers of their own; the operations share one a side.
fn measure(chosen: Vec<Workload>, pytorch: Option<&Pytorch>, arguments: &Arguments) -> Result<Vec<Measured>> {
    let sides = match pytorch {
        Some(_) => vec![Side::Ours, Side::PytorchNchw, Side::PytorchChannelsLast],
        None => vec![Side::Ours],
    };
    let start = || -> Result<Vec<Worker>> {
        sides.iter().map(|&side| Worker::start(side, pytorch, arguments.threads)).collect()
    };
    let mut shared: Option<Vec<Worker>> = None;
    let mut all = Vec::new();
    let count = chosen.len();
    for (number, workload) in chosen.into_iter().enumerate() {
        eprintln!("{}/{count} {}", number + 1, workload.name);
        let mut own = if workload.whole { Some(start()?) } else { None };
        if own.is_none() && shared.is_none() {
            shared = Some(start()?);
        }
        let workers = own.as_mut().or(shared.as_mut()).map(Vec::as_mut_slice).unwrap_or_default();
        let mut timed = rounds(workers, &workload, arguments.rounds.unwrap_or(workload.rounds))?;
        if let Some(own) = own {
            for (timed, worker) in timed.iter_mut().zip(own) {
                timed.peak_kib = Some(worker.end()?);
            }
        }
        all.push(Measured { workload, sides: timed });
    }
    Ok(all)
}

/// Alternates the sides, one at work at a time; who begins changes from round to round.
fn rounds(workers: &mut [Worker], workload: &Workload, rounds: usize) -> Result<Vec<Timed>> {
    for worker in workers.iter_mut() {
        worker.set(&workload.spec)?;
        // An operation's worker has warmed up while it found out how often to repeat.
        for _ in 0..if workload.whole { WARM_UP } else { 1 } {
            worker.go()?;
        }
    }
    let timed = |worker: &Worker| Timed { side: worker.side, rounds: Vec::new(), others: Vec::new(), peak_kib: None };
    let mut all: Vec<Timed> = workers.iter().map(timed).collect();
    let sides = workers.len();
    for round in 0..rounds {
        for place in 0..sides {
            let side = (place + round) % sides;
            let (seconds, others) = workers[side].go()?;
            ensure!(seconds.len() == workload.passes.len(), "{} numbers of {}", seconds.len(), workload.name);
            all[side].rounds.push(seconds);
            all[side].others.extend(others);
        }
    }
    Ok(all)
}

/// What the figures were taken on and with.
fn heading(pytorch: Option<&Pytorch>, threads: usize) {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    println!("- {}, {threads} thread(s) a side of {} cores", machine::cpu_model(), machine::cores());
    println!("- commit {commit}{}, {}", if changed { " with changes" } else { "" }, today());
    println!("- {}", pytorch.map_or("PyTorch was not timed", |pytorch| &pytorch.versions));
}

/// The date in UTC (Hinnant's `civil_from_days`).
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = (seconds / 86_400) as i64 + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}
