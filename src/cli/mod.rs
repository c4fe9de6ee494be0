//! The command line: one file a verb, and the only place that prints.

mod cache;
mod completions;
mod data;
mod device;
mod doctor;
mod explain;
mod looking;
mod new;
mod place;
mod plan;
mod progress;
mod report;
mod run;
mod schema;
mod signals;
mod status;
mod time_left;

use crate::exit_code;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Declarative experiment pipelines for self-supervised segmentation of micrographs.
#[derive(Parser)]
#[command(
    version,
    override_usage = "matssl-run [OPTIONS] FILE\n       matssl-run COMMAND …",
    after_help = "`matssl-run FILE` is short for `matssl-run run FILE`.\n\n\
                  Exit codes: 0 done, 1 internal error, 2 the experiment file is wrong, 3 a stage failed, 4 a device, \
                  data set or weight file is not there, 5 the data is not what the experiment says, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run an experiment (the same as `matssl-run FILE`).
    Run(run::RunArgs),
    /// Make tables, figures, pictures and the page anew from the cache, training nothing.
    Report(report::ReportArgs),
    /// Show what would run, what is cached, and what waits on what.
    Plan(plan::PlanArgs),
    /// Show why a stage would run (old → new value of each part of its key), or why not.
    Explain(explain::ExplainArgs),
    /// Show how runs stand, from any terminal.
    Status(status::StatusArgs),
    /// Show which data sets and weights are in place, what they hold, and what leaks between splits.
    Data(data::DataArgs),
    /// List, verify or tidy the cache.
    Cache(cache::CacheArgs),
    /// Write an experiment to start from: NAME.toml.
    New(new::NewArgs),
    /// Print the JSON Schema of experiment files, for editors.
    Schema(schema::SchemaArgs),
    /// Print a script that completes this program's command line in a shell.
    Completions(completions::CompletionsArgs),
    /// Check what works on a GPU and what does not, from the smallest thing to the largest.
    Doctor(doctor::DoctorArgs),
    /// Do one stage; started by a run, not by hand.
    #[command(hide = true)]
    Worker,
    /// Outlive a run and end what it leaves; started by a run, not by hand.
    #[command(hide = true)]
    Guard {
        /// The run's mark.
        run: String,
        /// The run's process.
        parent: u32,
        /// Where its private folders are.
        work: PathBuf,
    },
}

/// What every verb that reads an experiment takes.
#[derive(Args)]
struct ExperimentArgs {
    /// The experiment file (TOML).
    file: PathBuf,
    /// Replace a value of the file, e.g. `--set stages.ssl.epochs=3`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where relative data-set paths are looked up; the experiment file's folder if not given.
    #[arg(long, value_name = "DIR", env = "MATSSL_DATA")]
    data: Option<PathBuf>,
    /// The cache folder.
    #[arg(long, value_name = "DIR", env = "MATSSL_CACHE", default_value = "cache")]
    cache: PathBuf,
}

/// Why a verb could not do what it was asked: an exit code and a message that is complete as it stands.
struct Stop {
    code: u8,
    message: String,
}

impl Stop {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Stop { code, message: message.into() }
    }
}

/// What the command line or the environment asks for cannot be.
fn usage(message: String) -> Stop {
    Stop::new(exit_code::BAD_EXPERIMENT, format!("error: {message}"))
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::new(exit_code::INTERNAL, format!("error: {error:#}"))
    }
}

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> u8 {
    let verb = Cli::parse_from(with_verb(std::env::args_os().collect())).verb;
    if !matches!(verb, Verb::Worker | Verb::Guard { .. }) {
        // This thread belongs to the pool: it would do nothing but wait for the others.
        let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    }
    let result = match verb {
        Verb::Worker => crate::exec::work()
            .map(|done| if done { exit_code::DONE } else { exit_code::STAGE_FAILED })
            .map_err(Stop::from),
        Verb::Guard { run, parent, work } => {
            crate::exec::guard(&run, parent, &work);
            Ok(exit_code::DONE)
        }
        Verb::Run(args) => run::run(&args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Report(args) => report::report(args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Status(args) => status::status(&args),
        Verb::Data(args) => data::data(&args),
        Verb::Cache(args) => cache::cache(&args),
        Verb::New(args) => new::new(&args),
        Verb::Schema(args) => schema::schema(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Completions(args) => completions::completions(&args),
    };
    result.unwrap_or_else(|stop| {
        // Whoever listened may be gone.
        progress::say(stop.message.trim_end());
        stop.code
    })
}

/// `matssl-run FILE` needs no verb: where the first word is none, `run` is meant.
fn with_verb(mut args: Vec<OsString>) -> Vec<OsString> {
    let verbs = Cli::command();
    let known = |word: &OsString| {
        verbs.get_subcommands().any(|verb| word == verb.get_name())
            || ["help", "--help", "-h", "--version", "-V"].iter().any(|other| word == other)
    };
    if args.get(1).is_some_and(|word| !known(word)) {
        args.insert(1, "run".into());
    }
    args
}

/// `1 thread`, `4 threads`.
fn threads(count: usize) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}

/// Writes results to standard output. A reader that has gone away (`| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
