//! The worker processes of both sides, one at work at a time.
//!
//! A worker reads lines. `open FILE`: patches; answers `ready`. `make N`: that many pairs of views; answers the seconds.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// This crate.
    Ours,
    /// lightly's `SimCLRTransform` with its defaults.
    Lightly,
}

/// A Python with lightly.
pub(crate) struct Lightly {
    python: PathBuf,
    /// `lightly 1.5.20, torchvision …`.
    pub(crate) versions: String,
}

impl Lightly {
    fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/augment/lightly_side.py")
    }

    /// Looks whether `python` can import all that is needed; why not, if not.
    pub(crate) fn find(python: &Path) -> std::result::Result<Self, String> {
        let output = Command::new(python).arg(Self::script()).arg("versions").output();
        let output = output.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            return Err(text(&output.stderr).lines().last().unwrap_or("it failed without a word").to_owned());
        }
        Ok(Lightly { python: python.into(), versions: text(&output.stdout) })
    }
}

/// One round.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    /// Pairs a second of the clock.
    pub(crate) by_clock: f64,
    /// Pairs a second of processor time; Linux only.
    pub(crate) by_processor: Option<f64>,
}

/// A worker process.
pub(crate) struct Worker {
    /// Whose it is.
    pub(crate) side: Side,
    threads: usize,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one, on `core` alone if that is given, with `threads` (one).
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        side: Side,
        lightly: Option<&Lightly>,
        core: Option<usize>,
        threads: Option<usize>,
    ) -> Result<Self> {
        let (program, argument) = match (side, lightly) {
            (Side::Lightly, Some(lightly)) => (lightly.python.clone(), Lightly::script().into_os_string()),
            _ => (std::env::current_exe()?, "--worker".into()),
        };
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
        if side == Side::Ours {
            matssl_run::machine::tune_allocator(&mut command);
        }
        let count = threads.unwrap_or(1).to_string();
        command.env("RAYON_NUM_THREADS", &count).env("OMP_NUM_THREADS", &count);
        let mut child = command.spawn().context(
            "starting a worker (`taskset` of util-linux keeps both on one core; `--threads 1` does without)",
        )?;
        let to = child.stdin.take().context("a worker without standard input")?;
        let from = BufReader::new(child.stdout.take().context("a worker without standard output")?);
        Ok(Worker { side, threads: threads.unwrap_or(1), child, to, from })
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        let gone = || format!("the worker of {:?} is gone; what it said is above", self.side);
        writeln!(self.to, "{line}").and_then(|()| self.to.flush()).with_context(gone)?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), gone());
        Ok(answer.trim().to_owned())
    }

    /// Reads the patches of the file `path`.
    ///
    /// # Errors
    /// If the worker fails.
    pub(crate) fn open(&mut self, path: &Path) -> Result<()> {
        let answer = self.ask(&format!("open {}", path.display()))?;
        ensure!(answer == "ready", "`{answer}` for `open`");
        Ok(())
    }

    /// Makes `pairs` pairs of views.
    ///
    /// # Errors
    /// If the worker fails.
    pub(crate) fn make(&mut self, pairs: usize) -> Result<Round> {
        let before = self.processor_seconds();
        let answer = self.ask(&format!("make {pairs}"))?;
        let spent = before.zip(self.processor_seconds()).map(|(before, after)| after - before);
        let seconds: f64 = answer.parse().with_context(|| format!("`{answer}` for seconds"))?;
        let pairs = pairs as f64;
        Ok(Round { by_clock: pairs / seconds, by_processor: spent.map(|spent| pairs / spent) })
    }

    /// Of its first thread, so of all its work if it has one; Linux only.
    fn processor_seconds(&self) -> Option<f64> {
        if self.threads > 1 {
            return None;
        }
        let process = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id())).ok()?;
        Some(process.split(' ').next()?.parse::<f64>().ok()? / 1e9)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
