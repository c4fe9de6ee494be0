//! The compute layer against PyTorch, in one run: `cargo bench --bench compute`. See `benches/README.md`.

mod accuracy;
mod estimate;
mod layers;
mod measure;
mod ours;
mod roofline;
mod setting;
mod shapes;
mod swin;
mod table;
mod transformer;
mod workers;
mod workloads;

use anyhow::{Result, ensure};
use clap::Parser;
use matssl_run::machine;
use setting::Setting;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use table::Measured;
use workers::{Pytorch, Side, Worker};
use workloads::Workload;

/// Times the compute layer beside PyTorch, alternating, and prints medians and ratios.
#[derive(Parser)]
struct Arguments {
    /// Only workloads whose name holds one of these, separated by commas, e.g. `unet++,conv/resnet50`; `=NAME` for one
    /// exactly; `steps` for whole steps; `roofline` for what the machine could do. `layer/` is measured only if it is
    /// named: every convolution of the networks, direction by direction.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Rounds of every workload in place of each one's own number.
    #[arg(long)]
    rounds: Option<usize>,
    #[command(flatten)]
    setting: Setting,
    /// On a GPU: without `torch.compile`, which takes its minute a workload.
    #[arg(long)]
    eager: bool,
    /// Threads of each side.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python that has torch, torchvision, segmentation_models_pytorch and lightly.
    #[arg(long, env = "MATSSL_PYTHON", default_value = "python3")]
    python: PathBuf,
    /// Errors against float64 in place of times.
    #[arg(long)]
    errors: bool,
    /// Our side alone.
    #[arg(long)]
    alone: bool,
    /// Also writes the tables to this file, anew after each workload.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Also writes every round to this file, likewise.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Also writes what is to be reached and whether it is to this file, likewise: workload, what, figure, to reach,
    /// verdict, separated by tabs.
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
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
        return ours::work(&arguments.setting);
    }
    ensure!(arguments.threads > 0 && arguments.rounds != Some(0), "no threads or no rounds");
    let (only, on_gpu) = (arguments.only.as_deref(), arguments.setting.on_gpu());
    // It is the CPU's.
    let wants_roofline = only.map_or(!on_gpu, |only| only.split(',').any(|word| word == "roofline"));
    let chosen: Vec<Workload> =
        workloads::all(on_gpu)?.into_iter().filter(|workload| is_chosen(workload, only)).collect();
    ensure!(wants_roofline || !chosen.is_empty(), "no workload has such a name: --list shows all");
    if arguments.list {
        chosen.iter().for_each(|workload| println!("{}: {}", workload.name, workload.spec));
        return Ok(());
    }
    let pytorch = if arguments.alone || chosen.is_empty() {
        None
    } else {
        match Pytorch::find(&arguments.python, &arguments.setting) {
            Ok(pytorch) => Some(pytorch),
            Err(reason) => {
                eprintln!("PyTorch is left out, `{}` cannot import it all: {reason}", arguments.python.display());
                None
            }
        }
    };
    if arguments.errors {
        return accuracy::print(pytorch.as_ref(), &arguments);
    }
    let device = if on_gpu {
        // Said first, for what follows takes long.
        let mut worker = Worker::start(Side::Ours, None, arguments.threads, &arguments.setting)?;
        let device = worker.device()?;
        eprintln!("on {device}");
        Some(device)
    } else {
        None
    };
    let heading = heading(pytorch.as_ref(), device.as_deref(), &arguments);
    let all = measure::measure(chosen, pytorch.as_ref(), &arguments, |all| write(all, &heading, &arguments))?;
    print!("{}", tables(&all, &heading));
    if wants_roofline {
        roofline::print(arguments.threads)?;
    }
    Ok(())
}

/// The files asked for, with what is measured so far: what comes later may be stopped.
fn write(all: &[Measured], heading: &str, arguments: &Arguments) -> Result<()> {
    if let Some(path) = &arguments.table {
        std::fs::write(path, tables(all, heading))?;
    }
    if let Some(path) = &arguments.csv {
        std::fs::write(path, table::csv(all))?;
    }
    if let Some(path) = &arguments.verdicts {
        let steps: Vec<&Measured> = all.iter().filter(|measured| measured.workload.whole).collect();
        std::fs::write(path, table::verdicts(&steps) + &layers::verdicts(all))?;
    }
    Ok(())
}

/// All tables as Markdown, under `heading`.
fn tables(all: &[Measured], heading: &str) -> String {
    let mut text = heading.to_owned();
    if let Some(others) = table::others(all) {
        let verdict = if others > table::QUIET { ": **too busy, the times below are not to be quoted**" } else { "" };
        let percent = 100.0 * others;
        text += &format!("- other processes took {percent:.1} % of the processors in the median round{verdict}\n");
    }
    text.push('\n');
    let (steps, rest): (Vec<&Measured>, Vec<&Measured>) = all.iter().partition(|measured| measured.workload.whole);
    let operations: Vec<&Measured> = rest.into_iter().filter(|measured| !measured.workload.is_layer()).collect();
    if !steps.is_empty() {
        text += &table::steps(&steps);
        text.push('\n');
    }
    if !operations.is_empty() {
        text += "GFLOP/s count the operations of direct convolution, also where Winograd's way needs fewer.\n\n";
        text += &table::operations(&operations);
        text.push('\n');
    }
    text + &layers::table(all)
}

fn is_chosen(workload: &Workload, only: Option<&str>) -> bool {
    let Some(only) = only else { return !workload.is_layer() };
    only.split(',').any(|word| match (word, word.strip_prefix('=')) {
        (_, Some(name)) => workload.name == name,
        ("steps", _) => workload.whole,
        // Else it would be everything.
        ("" | "roofline", _) => false,
        (word, _) => workload.name.contains(word),
    })
}

/// What the figures were taken on and with.
fn heading(pytorch: Option<&Pytorch>, device: Option<&str>, arguments: &Arguments) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    let (threads, changes) = (arguments.threads, if changed { " with changes" } else { "" });
    let mut lines = vec![
        format!("- {}, {threads} thread(s) a side of {} cores", machine::cpu_model(), machine::cores()),
        format!("- commit {commit}{changes}, {}", today()),
        format!("- {}", pytorch.map_or("PyTorch was not timed", |pytorch| &pytorch.versions)),
    ];
    if let Some(device) = device {
        let Setting { precision, nondeterministic, .. } = arguments.setting;
        let bits = if nondeterministic { "not deterministic" } else { "deterministic" };
        lines.push(format!("- {device}; {}, ours {bits}", precision.name()));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
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
