//! `matssl-run doctor --gpu`: what works on a GPU and what does not, from its libraries to a small network.

use super::device::one_device;
use super::outcome::{Ending, Stop};
use super::output::print;
use crate::doctor::{STEPS, Step, step};
use crate::nn::DeviceName;
use anyhow::{Context, Result};
use clap::Args;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct DoctorArgs {
    /// Check a GPU: its libraries, every kernel, cuDNN, small networks. Each step has its own process and time limit, so a
    /// step that fails does not stop the next one.
    #[arg(long, required = true)]
    gpu: bool,
    /// The device: cuda:N, or cpu to test the checks themselves.
    #[arg(long, value_name = "DEVICE", default_value = "cuda:0", value_parser = one_device)]
    device: DeviceName,
    /// Do only these steps, separated by commas.
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    only: Vec<String>,
    /// Total time limit in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    seconds: u64,
    /// Also write one line for each step to this file when it ends: name; ok, failed, stopped or skipped; seconds; result.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Do one step in this process; started by the doctor itself.
    #[arg(long, hide = true)]
    step: Option<String>,
}

/// Time to wait for a killed step.
const PATIENCE: Duration = Duration::from_secs(5);

/// The outcome of a step.
enum Verdict {
    Ok,
    Failed,
    Stopped,
    Skipped,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Failed => "failed",
            Verdict::Stopped => "stopped",
            Verdict::Skipped => "skipped",
        }
    }
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<Ending, Stop> {
    if let Some(name) = &args.step {
        return do_step(named(name)?, args.device);
    }
    let chosen = match &args.only[..] {
        [] => STEPS.iter().collect(),
        names => names.iter().map(|name| named(name)).collect::<Result<Vec<_>, Stop>>()?,
    };
    let mut report = match &args.report {
        Some(path) => {
            let file = File::create(path);
            Some(file.map_err(|error| Stop::bad_request(format!("--report {}: {error}", path.display())))?)
        }
        None => None,
    };
    let (start, mut failed, mut unusable) = (Instant::now(), 0, None);
    for step in chosen {
        let (begun, left) = (Instant::now(), Duration::from_secs(args.seconds).saturating_sub(start.elapsed()));
        print(&format!("{:<12} {} …\n", step.name, step.what));
        let (verdict, seen) = match &unusable {
            Some(why) => (Verdict::Skipped, format!("`{why}` failed")),
            None if step.needs_gpu && args.device == DeviceName::Cpu => (Verdict::Skipped, "it needs a GPU".into()),
            None if left < Duration::from_secs(2) => (Verdict::Skipped, "no time left".into()),
            None => in_a_process(&mut command(step, args.device)?, left.min(Duration::from_secs(step.seconds)))?,
        };
        if matches!(verdict, Verdict::Failed | Verdict::Stopped) {
            failed += 1;
            if step.is_vital {
                unusable = Some(step.name);
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        print(&format!("{:<12} {} ({seconds:.1} s): {seen}\n", step.name, verdict.word()));
        if let Some(report) = &mut report {
            let line = format!("{}\t{}\t{seconds:.1}\t{}\n", step.name, verdict.word(), seen.replace('\t', " "));
            report.write_all(line.as_bytes()).context("cannot write the report")?;
        }
    }
    Ok(match (unusable, failed) {
        (Some(_), _) => Ending::NotThere,
        (None, 0) => Ending::Done,
        (None, _) => Ending::Failed,
    })
}

fn named(name: &str) -> Result<&'static Step, Stop> {
    let all = || STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
    step(name).ok_or_else(|| Stop::bad_request(format!("the doctor has no step `{name}`; its steps are {}", all())))
}

/// Does a step in this process. The last line that it prints is its result.
fn do_step(step: &Step, device: DeviceName) -> Result<Ending, Stop> {
    Ok(match step.check(device, &mut |line| print(&format!("{line}\n"))) {
        Ok(seen) => {
            print(&format!("{seen}\n"));
            Ending::Done
        }
        Err(error) => {
            print(&format!("{}\n", format!("{error:#}").lines().next().unwrap_or_default()));
            Ending::Failed
        }
    })
}

/// The command that does a step in its own process.
fn command(step: &Step, device: DeviceName) -> Result<Command> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let mut command = Command::new(program);
    command.args(["doctor", "--gpu", "--step", step.name, "--device", &device.to_string()]);
    // So that a fault names its kernel, and memory that a kernel did not write shows, unless the user sets these.
    for variable in ["MATSSL_GPU_SYNC", "MATSSL_GPU_POISON"] {
        let hides_faults = variable == "MATSSL_GPU_SYNC" && step.is_asynchronous;
        if std::env::var_os(variable).is_none() && !hides_faults {
            command.env(variable, "1");
        }
    }
    Ok(command)
}

/// Runs `command` and shows what it prints; kills it at the time `limit`. Returns the outcome and the last line.
fn in_a_process(command: &mut Command, limit: Duration) -> Result<(Verdict, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start a step")?;
    let output = child.stdout.take().context("a step has no output")?;
    let (told, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                break;
            }
        }
    });
    let (end, mut last) = (Instant::now() + limit, "no output".to_owned());
    let is_late = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                print(&format!("  {line}\n"));
                last = line.trim().to_owned();
            }
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    if is_late {
        child.kill().context("cannot stop a step")?;
    }
    // A process that hangs in the driver survives even SIGKILL.
    let patience =
        Instant::now() + if is_late { PATIENCE } else { end.saturating_duration_since(Instant::now()) + PATIENCE };
    let status = loop {
        match child.try_wait().context("cannot wait for a step")? {
            Some(status) => break Some(status),
            None if Instant::now() > patience => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Ok(match (is_late, status) {
        (false, Some(status)) => judged(status, last),
        (_, status) => {
            let stays = if status.is_none() { ", and cannot be killed" } else { "" };
            (Verdict::Stopped, format!("after {} s{stays}; last output: {last}", limit.as_secs()))
        }
    })
}

/// The outcome of a step that has ended, with its last line.
fn judged(status: ExitStatus, last: String) -> (Verdict, String) {
    match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(Ending::Done.code()) => (Verdict::Ok, last),
        (Some(code), _) if code == i32::from(Ending::Failed.code()) => (Verdict::Failed, last),
        (code, signal) => {
            let how = match (code, signal) {
                (Some(code), _) => format!("exit code {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or(0)),
            };
            (Verdict::Failed, format!("ended by {how}; last output: {last}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(script: &str, limit: Duration) -> (&'static str, String) {
        let (verdict, seen) = in_a_process(Command::new("sh").args(["-c", script]), limit).unwrap();
        (verdict.word(), seen)
    }

    #[test]
    fn each_outcome_of_a_step_is_reported() {
        let minute = Duration::from_secs(60);
        assert_eq!(ends("echo one; echo two", minute), ("ok", "two".into()));
        assert_eq!(ends("echo wrong; exit 3", minute), ("failed", "wrong".into()));
        assert_eq!(ends("exit 1", minute), ("failed", "ended by exit code 1; last output: no output".into()));
        assert_eq!(
            ends("echo so far; kill -SEGV $$", minute),
            ("failed", "ended by signal 11; last output: so far".into())
        );
        let (verdict, seen) = ends("echo so far; exec sleep 600", Duration::from_secs(1));
        assert_eq!((verdict, seen.as_str()), ("stopped", "after 1 s; last output: so far"));
    }
}
