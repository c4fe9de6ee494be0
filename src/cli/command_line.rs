//! The command line as a whole: its verbs, and the way from the arguments to the exit code.

use super::outcome::{Ending, Stop};
use super::{
    cache, cancel, completions, data, doctor, explain, export, logging, new, output, plan, predict, report, run,
    schema, status,
};
use crate::exec;
use crate::program::PROGRAM;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Declarative experiment pipelines for self-supervised segmentation of micrographs.
#[derive(Parser)]
#[command(
    version,
    override_usage = "matssl-run [OPTIONS] FILE\n       matssl-run COMMAND …",
    after_help = "`matssl-run FILE` is short for `matssl-run run FILE`.\n\n\
                  Exit codes: 0 done; 1 internal error; 2 the experiment file, the command line or the environment is \
                  wrong; 3 a stage failed; 4 a device, data set or weight file is missing; 5 the data is not what the \
                  experiment says; 130 interrupted.\n\n\
                  Environment: MATSSL_LOG filters the log on standard error, e.g. `debug` or `matssl_run::plan=trace`; \
                  -v and -vv replace it."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Log on standard error what the program does and why; -vv logs more (see also MATSSL_LOG).
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Verb {
    /// Run an experiment (the same as `matssl-run FILE`).
    Run(run::RunArgs),
    /// Write tables, figures, pictures and the page again from the cache; trains nothing.
    Report(report::ReportArgs),
    /// Show what would run, what is cached, and what waits for other stages.
    Plan(plan::PlanArgs),
    /// Show why a stage would run (old → new value of each part of its key), or why not.
    Explain(explain::ExplainArgs),
    /// Show the state of runs, from any terminal.
    Status(status::StatusArgs),
    /// Cancel the Slurm jobs of an experiment, from any terminal.
    Cancel(cancel::CancelArgs),
    /// Write a trained model as a folder that stands by itself: weights, classes, normalisation, scores.
    Export(export::ExportArgs),
    /// Predict images with exported models: masks, overlays, area fractions, a page.
    Predict(predict::PredictArgs),
    /// Show which data sets and weights are there, what they hold, and which images leak between splits.
    Data(data::DataArgs),
    /// List, verify or clean the cache.
    Cache(cache::CacheArgs),
    /// Write an experiment to start from: NAME.toml.
    New(new::NewArgs),
    /// Print the JSON Schema of experiment files, for editors.
    Schema(schema::SchemaArgs),
    /// Print a script that completes this program's command line in a shell.
    Completions(completions::CompletionsArgs),
    /// Check what works on a GPU, from its libraries to a small network.
    Doctor(doctor::DoctorArgs),
    /// Do one stage; started by a run, not by hand.
    #[command(hide = true)]
    Worker {
        /// The folder of a batch of Slurm jobs; without it the stage comes on standard input.
        #[arg(long, requires = "task")]
        batch: Option<PathBuf>,
        /// The task of the batch.
        #[arg(long, requires = "batch")]
        task: Option<usize>,
        /// Folder for work in progress.
        #[arg(long)]
        scratch: Option<PathBuf>,
    },
    /// Outlive a run and end what it leaves; started by a run, not by hand.
    #[command(hide = true)]
    Guard {
        /// The run's mark.
        run: String,
        /// The run's process.
        parent: u32,
        /// The folder with the run's private folders.
        work: PathBuf,
    },
}

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> u8 {
    let cli = Cli::parse_from(with_verb(std::env::args_os().collect()));
    let mut ending = logging::start(cli.verbose).and_then(|()| obey(cli.verb)).unwrap_or_else(|stop| {
        output::say(stop.message.trim_end());
        stop.ending
    });
    if let Some(message) = output::lost() {
        output::say(&message);
        ending = ending.max(Ending::Failed);
    }
    ending.code()
}

fn obey(verb: Verb) -> Result<Ending, Stop> {
    if !matches!(verb, Verb::Worker { .. } | Verb::Guard { .. }) {
        let jobs = if let Verb::Predict(args) = &verb { args.jobs() } else { 0 };
        // This thread joins the pool: it would only wait for the others.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(jobs).use_current_thread().build_global();
    }
    match verb {
        Verb::Worker { batch, task, scratch } => {
            let succeeded = match batch.zip(task) {
                Some((batch, task)) => exec::work_task(&PROGRAM, &batch, task, scratch.as_deref())?,
                None => exec::work(&PROGRAM)?,
            };
            Ok(if succeeded { Ending::Done } else { Ending::Failed })
        }
        Verb::Guard { run, parent, work } => {
            exec::guard(&run, parent, &work);
            Ok(Ending::Done)
        }
        Verb::Run(args) => run::run(&args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Predict(args) => predict::predict(&args),
        Verb::Report(args) => report::report(args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Status(args) => status::status(&args),
        Verb::Cancel(args) => cancel::cancel(&args),
        Verb::Export(args) => export::export(&args),
        Verb::Data(args) => data::data(&args),
        Verb::Cache(args) => cache::cache(&args),
        Verb::New(args) => new::new(&args),
        Verb::Schema(args) => schema::schema(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Completions(args) => completions::completions(&args, &mut Cli::command()),
    }
}

/// `matssl-run FILE` needs no verb: where the first word is none, `run` is meant. -v may stand before it.
fn with_verb(mut args: Vec<OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let known = |word: &OsStr| {
        command.get_subcommands().any(|verb| word == verb.get_name())
            || ["help", "--help", "-h", "--version", "-V"].iter().any(|other| word == *other)
    };
    let first = args.iter().skip(1).position(|word| !is_verbose(word)).map(|at| at + 1);
    if let Some(first) = first.filter(|&first| !known(&args[first])) {
        args.insert(first, "run".into());
    }
    args
}

/// `-v`, `-vv` or `--verbose`.
fn is_verbose(word: &OsStr) -> bool {
    let vs = word.to_str().and_then(|word| word.strip_prefix('-')).unwrap_or_default();
    word == "--verbose" || (!vs.is_empty() && vs.chars().all(|letter| letter == 'v'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_a_verb_is_added_where_there_is_none() {
        Cli::command().debug_assert();
        let with = |line: &str| {
            let args = with_verb(line.split(' ').map(OsString::from).collect());
            args.join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(with("p file.toml --only a"), "p run file.toml --only a");
        assert_eq!(with("p -vv file.toml"), "p -vv run file.toml");
        assert_eq!(with("p --verbose plan file.toml"), "p --verbose plan file.toml");
        assert_eq!(with("p --set a=1 file.toml"), "p run --set a=1 file.toml");
        assert_eq!(with("p --help"), "p --help");
        assert_eq!(with("p"), "p");
    }
}
