//! Slurm's commands.

use super::queue::{COLUMNS, Queue};
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a command of Slurm did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The controller does not answer: it may do so later.
    NoAnswer(String),
    /// Slurm says no, in these words.
    No(String),
    /// The command is not there.
    Missing(String),
}

impl Refusal {
    pub(super) fn words(&self) -> &str {
        match self {
            Refusal::NoAnswer(words) | Refusal::No(words) | Refusal::Missing(words) => words,
        }
    }
}

/// What Slurm's commands say while the controller cannot be reached.
const NO_ANSWER: [&str; 7] = [
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Communication connection failure",
    "Zero Bytes were transmitted",
    "Transport endpoint is not connected",
    "Slurm backup controller in standby mode",
];

/// Variables that change what the commands print, or count more than the lines of a job script.
const OVERRIDING: [&str; 13] = [
    "SQUEUE_FORMAT",
    "SQUEUE_FORMAT2",
    "SQUEUE_STATES",
    "SQUEUE_ARRAY_UNIQUE",
    "SQUEUE_PARTITION",
    "SACCT_FORMAT",
    "SBATCH_ARRAY_INX",
    "SBATCH_JOB_NAME",
    "SBATCH_OPEN_MODE",
    "SBATCH_OUTPUT",
    "SBATCH_REQUEUE",
    "SBATCH_NO_REQUEUE",
    "SBATCH_SIGNAL",
];

/// Submits a script. Returns the job's number.
pub(super) fn submit(script: &Path) -> Result<u64, Refusal> {
    let said = call("sbatch", &["--parsable", &script.to_string_lossy()])?;
    let number = said.trim().split(';').next().unwrap_or_default();
    number.parse().map_err(|_| Refusal::No(format!("sbatch said `{}` in place of a job's number", said.trim())))
}

/// All of this user's jobs that the controller knows, ended ones too.
pub(super) fn queue() -> Result<Queue, Refusal> {
    // SAFETY: plain system call.
    let user = unsafe { libc::getuid() }.to_string();
    call("squeue", &["--noheader", "--array", "--states=all", "--user", &user, "-o", COLUMNS])
        .map(|text| Queue::parse(&text))
}

/// What the accounting knows of a job array that the controller has forgotten; `None` without accounting.
pub(super) fn accounted(job: u64) -> Option<Queue> {
    let format = "--format=JobID,State,JobName";
    let job = job.to_string();
    let text =
        call("sacct", &["--noheader", "--allocations", "--array", "--parsable2", "--jobs", &job, format]).ok()?;
    // `12_3|TIMEOUT|name` in place of `12|3|TIMEOUT|reason|name`.
    let lines = text.lines().filter_map(|line| {
        let (id, rest) = line.split_once('|')?;
        let (state, name) = rest.split_once('|')?;
        let (job, task) = id.split_once('_')?;
        Some(format!("{job}|{task}|{state}|None|{name}\n"))
    });
    Some(Queue::parse(&lines.collect::<String>()))
}

/// Cancels tasks; with `only_waiting` those that have not started.
pub(super) fn cancel(tasks: &[(u64, usize)], only_waiting: bool) -> Result<(), Refusal> {
    // A command line has a limit.
    for some in tasks.chunks(500) {
        let mut arguments: Vec<String> = Vec::new();
        if only_waiting {
            arguments.push("--state=PENDING".to_owned());
        }
        arguments.extend(some.iter().map(|(job, task)| format!("{job}_{task}")));
        call("scancel", &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Queues the job of this process again: Slurm then ends this process.
pub(super) fn requeue(task: &str) -> Result<(), Refusal> {
    call("scontrol", &["requeue", task]).map(drop)
}

fn call(program: &str, arguments: &[&str]) -> Result<String, Refusal> {
    let mut command = Command::new(program);
    for name in OVERRIDING {
        command.env_remove(name);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().map_err(|error| {
        Refusal::Missing(format!("cannot run `{program}`: {error}; is this a login node of a Slurm cluster?"))
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let prefix = format!("{program}: error: ");
    let lines = said.lines().map(|line| line.trim().trim_start_matches(&prefix)).filter(|line| !line.is_empty());
    let words = lines.collect::<Vec<_>>().join("; ");
    let words = if words.is_empty() { format!("{program}: {}", output.status) } else { words };
    match NO_ANSWER.iter().any(|text| words.contains(text)) {
        true => Err(Refusal::NoAnswer(words)),
        false => Err(Refusal::No(words)),
    }
}
