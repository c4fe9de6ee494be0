//! The worker processes of both sides, one at work at a time.
//!
//! A worker reads lines. `set WORKLOAD`: prepares it, answers `ready`. `go`: does it once (an operation: often enough to
//! be timed), answers the seconds of each pass. `end`: answers its peak memory in KiB (resident, or the GPU's that its
//! tensors took) and exits. Where the GPU's memory does not suffice it answers `out of memory`, and goes on reading.
//! Ours answers `device` too: what it computes on; and `estimate WORKLOAD`: what the program says beforehand that the
//! workload will take, in KiB, or `none`.

use crate::estimate;
use crate::setting::Setting;
use crate::workloads::Spec;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What a worker answers that could not do it.
pub(crate) const OUT_OF_MEMORY: &str = "out of memory";

/// A worker has answered [`OUT_OF_MEMORY`].
#[derive(Debug)]
pub(crate) struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OUT_OF_MEMORY)
    }
}

impl std::error::Error for OutOfMemory {}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// This crate.
    Ours,
    /// PyTorch with contiguous `[batch, channels, height, width]` tensors.
    PytorchNchw,
    /// PyTorch with its channels-last memory format.
    PytorchChannelsLast,
    /// The same through `torch.compile`.
    PytorchCompiled,
}

impl Side {
    /// Whether it is what ours is held to: PyTorch as it runs without being compiled.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Side::PytorchNchw | Side::PytorchChannelsLast)
    }

    /// As in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Ours => "ours",
            Side::PytorchNchw => "PyTorch NCHW",
            Side::PytorchChannelsLast => "PyTorch channels-last",
            Side::PytorchCompiled => "PyTorch compiled",
        }
    }
}

/// A Python with PyTorch.
pub(crate) struct Pytorch {
    python: PathBuf,
    /// `torch 2.11.0, torchvision …`.
    pub(crate) versions: String,
}

impl Pytorch {
    /// Where it was when this was compiled; else, for a binary from elsewhere, below the present folder.
    fn script() -> PathBuf {
        let path = Path::new("benches/compute/pytorch_side.py");
        let compiled = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if compiled.exists() { compiled } else { path.into() }
    }

    /// Looks whether `python` can import all that is needed; why not, if not.
    pub(crate) fn find(python: &Path, setting: &Setting) -> std::result::Result<Self, String> {
        let device = setting.device.to_string();
        let output = Command::new(python).arg(Self::script()).args(["versions", &device]).output();
        match output {
            Ok(output) if output.status.success() => {
                let versions = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                Ok(Pytorch { python: python.into(), versions })
            }
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(errors.lines().last().unwrap_or("it failed without a word").to_owned())
            }
            Err(error) => Err(format!("{}: {error}", python.display())),
        }
    }
}

/// Processor time in clock ticks since the machine started.
struct Ticks {
    all: u64,
    busy: u64,
    worker: u64,
}

impl Ticks {
    /// The part of the processors that went neither to the worker nor to nobody.
    fn others_since(&self, before: &Ticks) -> Option<f64> {
        let (all, busy) = (self.all.checked_sub(before.all)?, self.busy.checked_sub(before.busy)?);
        let worker = self.worker.checked_sub(before.worker)?;
        // A few ticks say nothing.
        (all >= 20).then(|| busy.saturating_sub(worker) as f64 / all as f64)
    }
}

/// A worker process.
pub(crate) struct Worker {
    /// Whose it is.
    pub(crate) side: Side,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one with `threads` threads.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(side: Side, pytorch: Option<&Pytorch>, threads: usize, setting: &Setting) -> Result<Self> {
        let format = match side {
            Side::Ours => None,
            Side::PytorchNchw => Some("nchw"),
            Side::PytorchChannelsLast => Some("channels-last"),
            Side::PytorchCompiled => Some("compiled"),
        };
        let mut command = match format {
            None => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("--worker").args(setting.arguments());
                matssl_run::machine::tune_allocator(&mut command);
                command
            }
            Some(format) => {
                let pytorch = pytorch.context("no PyTorch to start")?;
                let (device, precision) = (setting.device.to_string(), setting.precision.name());
                let mut command = Command::new(&pytorch.python);
                command.arg(Pytorch::script()).args([format, &threads.to_string(), &device, precision]);
                command
            }
        };
        let threads = threads.to_string();
        command.env("RAYON_NUM_THREADS", &threads).env("OMP_NUM_THREADS", &threads);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting a worker")?;
        let to = child.stdin.take().context("a worker without standard input")?;
        let from = BufReader::new(child.stdout.take().context("a worker without standard output")?);
        Ok(Worker { side, child, to, from })
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.to, "{line}").and_then(|()| self.to.flush()).with_context(|| self.died())?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), self.died());
        ensure!(answer.trim() != OUT_OF_MEMORY, OutOfMemory);
        Ok(answer.trim().to_owned())
    }

    fn died(&self) -> String {
        format!("the worker of {} is gone; what it said is above", self.side.name())
    }

    /// What our side computes on.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) fn device(&mut self) -> Result<String> {
        self.ask("device")
    }

    /// What our side says that the workload will take in memory, in KiB; none where the program estimates nothing.
    ///
    /// # Errors
    /// If the worker fails; [`OutOfMemory`].
    pub(crate) fn estimate(&mut self, spec: &Spec) -> Result<Option<u64>> {
        let answer = self.ask(&format!("estimate {spec}"))?;
        if answer == estimate::NONE {
            return Ok(None);
        }
        Ok(Some(answer.parse().with_context(|| format!("`{answer}` for KiB"))?))
    }

    /// Prepares a workload in place of the one before.
    ///
    /// # Errors
    /// If the worker fails; [`OutOfMemory`].
    pub(crate) fn set(&mut self, spec: &Spec) -> Result<()> {
        let answer = self.ask(&format!("set {spec}"))?;
        ensure!(answer == "ready", "{}: `{answer}` for `set {spec}`", self.side.name());
        Ok(())
    }

    /// Seconds of each pass, and the share of the machine's processors that others took meanwhile.
    ///
    /// # Errors
    /// If the worker fails; [`OutOfMemory`].
    pub(crate) fn go(&mut self) -> Result<(Vec<f64>, Option<f64>)> {
        let before = self.ticks();
        let answer = self.ask("go")?;
        let others = before.zip(self.ticks()).and_then(|(before, after)| after.others_since(&before));
        let seconds = answer.split(' ').map(|word| word.parse().with_context(|| format!("`{answer}` for seconds")));
        Ok((seconds.collect::<Result<_>>()?, others))
    }

    /// Linux only.
    fn ticks(&self) -> Option<Ticks> {
        let machine = std::fs::read_to_string("/proc/stat").ok()?;
        let numbers = machine.lines().next()?.split_whitespace().skip(1);
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in user and nice too.
        let numbers: Vec<u64> = numbers.take(8).map_while(|word| word.parse().ok()).collect();
        let all: u64 = numbers.iter().sum();
        let idle = numbers.get(3)? + numbers.get(4)?;
        let process = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name in brackets may hold blanks; utime and stime are the 12th and 13th words after it.
        let mut words = process.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut word = || words.next()?.parse::<u64>().ok();
        Some(Ticks { all, busy: all - idle, worker: word()? + word()? })
    }

    /// Ends it; its peak memory in KiB.
    ///
    /// # Errors
    /// If the worker fails.
    pub(crate) fn end(mut self) -> Result<u64> {
        let answer = self.ask("end")?;
        self.child.wait()?;
        answer.parse().with_context(|| format!("`{answer}` for KiB"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // After `end` it is gone already, and both calls say so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
