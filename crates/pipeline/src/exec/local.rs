//! The local executor. A stage that computes runs in a worker process; one that only waits for a user's program, in a
//! thread.

use super::attempt::{AttemptOutcome, Services, attempt};
use super::check::check;
use super::committer::{Committer, Done};
use super::guard::Guard;
use super::job::{Job, Message};
use super::notice::{Notice, Report};
use super::program::Program;
use crate::cache::{KeyMaterial, Record, Store};
use crate::events::ErrorClass;
use crate::stage::{Stage, StageError};
use anyhow::{Context as _, Result};
use matssl_base::machine::{self, Asked, Group};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The workers and threads that this run has started on this machine.
pub(super) struct LocalExecutor {
    program: &'static Program,
    executable: PathBuf,
    reports: Sender<Notice>,
    store: Store,
    /// Mark in the environment variables of every process that this run starts.
    mark: String,
    committer: Option<Committer>,
    /// Ends the remaining processes if this one is killed. Dropped after the committer, which still removes folders.
    guard: Option<Guard>,
    running: HashMap<usize, Running>,
}

enum Running {
    Worker(Lifeline),
    /// A thread; the programs that it starts belong to this group.
    Thread(Group),
}

/// A worker's standard input, open while the run lives: when it closes, the worker ends. Only this type reaps the
/// worker, after it has killed the worker's group; until then the system cannot reuse the group's number.
struct Lifeline {
    group: i32,
    /// `Some` until this is dropped.
    child: Option<Child>,
    _stdin: ChildStdin,
}

impl LocalExecutor {
    /// For the run called `run`.
    pub(super) fn new(program: &'static Program, run: &str, store: &Store, reports: Sender<Notice>) -> Result<Self> {
        let executable = std::env::current_exe().context("cannot find the executable of this program")?;
        Ok(LocalExecutor {
            program,
            executable,
            reports,
            store: store.clone(),
            mark: run.to_owned(),
            guard: None,
            committer: None,
            running: HashMap::new(),
        })
    }

    /// Starts `job` in a worker process, or in a thread if `records` of its inputs are given, which may not be in the
    /// cache yet. Its output goes to `log`.
    pub(super) fn start(
        &mut self,
        id: usize,
        stage: &Arc<dyn Stage>,
        job: Job,
        material: KeyMaterial,
        records: Option<Vec<Record>>,
        log: &Path,
    ) -> Result<()> {
        // A guard that has died is replaced.
        if !self.guard.as_mut().is_some_and(Guard::is_alive) {
            self.guard = Some(Guard::start(&self.executable, &self.mark, &self.store.root().join("work"))?);
            self.store.leave_private_folders();
        }
        let running = match records {
            Some(records) => self.start_thread(id, Arc::clone(stage), job, material, records, log)?,
            None => self.start_worker(id, &job, log)?,
        };
        self.running.insert(id, running);
        Ok(())
    }

    fn start_thread(
        &mut self,
        id: usize,
        stage: Arc<dyn Stage>,
        job: Job,
        material: KeyMaterial,
        records: Vec<Record>,
        log: &Path,
    ) -> Result<Running> {
        let committer = match &self.committer {
            Some(committer) => committer,
            None => self.committer.insert(Committer::new(self.store.clone(), self.reports.clone())?),
        };
        let done = committer.sender().context("the committer has ended")?;
        let reports = self.reports.clone();
        let group = Group::default();
        let mark = format!("{}/{id}", self.mark);
        // A sender is made for one thread, so threads share it under a lock.
        let sender = Mutex::new(reports.clone());
        let services = Services {
            program: self.program,
            store: self.store.clone(),
            records,
            asked: Asked::default(),
            group: group.clone(),
            log: Some(log.to_owned()),
            mark: Some(machine::mark(&[&self.mark, &mark])),
            tell: Arc::new(move |message| {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = sender.send(Report::new(id, message).into());
            }),
        };
        let kills = machine::memory_kills();
        std::thread::Builder::new().spawn(move || {
            let started = Instant::now();
            if job.check {
                let message = match check(&job, stage.as_ref(), &material, &services) {
                    Ok(differences) => Message::Checked { differences },
                    Err(error) => failed(&error, kills),
                };
                let _ = reports.send(Report::new(id, message).into());
                return;
            }
            let outcome = attempt(&job, stage.as_ref(), material, &services);
            let seconds = started.elapsed().as_secs_f64();
            let report = match outcome {
                Ok(AttemptOutcome::Found(record)) => {
                    let message = Message::Finished { key: record.key, ran: false, seconds };
                    Report { id, message, record: Some(record) }
                }
                Ok(AttemptOutcome::Computed(computed)) => {
                    // In this order: the run frees the slot before it receives the record.
                    let record = Some(Arc::new(computed.draft.record().clone()));
                    let _ = reports.send(Report { id, message: Message::Made, record }.into());
                    let _ = done.send(Done { id, computed, seconds, mark });
                    return;
                }
                Err(error) => {
                    machine::kill_marked(&[mark]);
                    Report::new(id, failed(&error, kills))
                }
            };
            let _ = reports.send(report.into());
        })?;
        Ok(Running::Thread(group))
    }

    fn start_worker(&self, id: usize, job: &Job, log: &Path) -> Result<Running> {
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&self.executable);
        machine::tune_allocator(&mut command);
        let mut child = command
            .arg("worker")
            // candle and gemm read this; the worker builds its own pool from the job.
            .env("RAYON_NUM_THREADS", job.threads.to_string())
            .env(machine::MARK, machine::mark(&[&self.mark]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A group of its own: Ctrl-C in the terminal reaches only the run, and one signal to the group reaches the
            // worker and all processes that it started.
            .process_group(0)
            .spawn()
            .context("cannot start a worker process")?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            anyhow::bail!("the worker has no pipes");
        };
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        // A worker that died at once is reported by its exit status, not by this broken pipe.
        let _ = stdin.write_all(&line);
        let group = child.id() as i32;
        let reports = self.reports.clone();
        let kills = machine::memory_kills();
        std::thread::spawn(move || {
            let mut last = None;
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(message @ (Message::Finished { .. } | Message::Checked { .. } | Message::Failed { .. })) => {
                        last = Some(message);
                    }
                    Ok(message) => drop(reports.send(Report::new(id, message).into())),
                    // Output of a library: ignored.
                    Err(_) => {}
                }
            }
            let message = last.unwrap_or_else(|| lost(group, kills));
            let _ = reports.send(Report::new(id, message).into());
        });
        Ok(Running::Worker(Lifeline { group, child: Some(child), _stdin: stdin }))
    }

    /// Removes a stage that has ended, and kills processes that it left running.
    pub(super) fn ended(&mut self, id: usize) {
        self.running.remove(&id);
    }

    /// Asks a stage to end: one that trains writes a checkpoint first.
    pub(super) fn ask_to_stop(&self, id: usize) {
        if let Some(running) = self.running.get(&id) {
            running.send(libc::SIGTERM);
        }
    }

    /// Asks all stages to end.
    pub(super) fn ask_all_to_stop(&self) {
        for running in self.running.values() {
            running.send(libc::SIGTERM);
        }
    }

    /// Asks trainings to write a checkpoint; other stages receive no signal.
    pub(super) fn ask_for_checkpoints(&self) {
        for running in self.running.values().filter(|running| matches!(running, Running::Worker(_))) {
            running.send(libc::SIGUSR1);
        }
    }

    /// Kills a stage now; its next message reports its end.
    pub(super) fn kill(&self, id: usize) {
        if let Some(running) = self.running.get(&id) {
            running.kill();
        }
    }

    /// Whether no stage is running.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Kills all stages now; checkpoints stay.
    pub(super) fn stop_all(&mut self) {
        self.running.values().for_each(Running::kill);
        self.running.clear();
    }
}

impl Running {
    fn send(&self, signal: i32) {
        match self {
            Running::Worker(worker) => {
                // A suspended process receives the signal only when it continues.
                for signal in [signal, libc::SIGCONT] {
                    // SAFETY: plain system call. The worker may be gone already, which is no error here.
                    unsafe { libc::kill(worker.group, signal) };
                }
            }
            Running::Thread(group) if signal == libc::SIGTERM => group.ask_to_stop(),
            Running::Thread(group) => group.signal(signal),
        }
    }

    fn kill(&self) {
        match self {
            Running::Worker(worker) => worker.kill(),
            Running::Thread(group) => group.close(),
        }
    }
}

impl Lifeline {
    fn kill(&self) {
        // SAFETY: plain system call. The group may be gone already, which is no error here.
        unsafe { libc::kill(-self.group, libc::SIGKILL) };
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.kill();
        // In another thread, because a large process takes time to end.
        if let Some(mut child) = self.child.take() {
            std::thread::spawn(move || child.wait());
        }
    }
}

/// The probable cause of death of a worker that ended without a result. `kills`: the system's count of out-of-memory
/// kills when the worker started.
fn lost(process: i32, kills: u64) -> Message {
    let status = match machine::wait_unreaped(process) {
        Ok(status) => status,
        Err(error) => {
            return Message::Failed { class: ErrorClass::Lost, message: format!("the worker was lost: {error}") };
        }
    };
    if status.signal() == Some(libc::SIGTERM) {
        return Message::Failed { class: ErrorClass::Stopped, message: "the worker was ended by signal 15".into() };
    }
    by_signal(status.signal(), kills, format!("the worker process ended without a result ({})", describe(status)))
}

fn failed(error: &StageError, kills: u64) -> Message {
    match error {
        StageError::Lost { signal, message } => by_signal(*signal, kills, message.clone()),
        error => Message::Failed { class: ErrorClass::from(error), message: error.to_string() },
    }
}

fn by_signal(signal: Option<i32>, kills: u64, message: String) -> Message {
    if signal == Some(libc::SIGKILL) && machine::memory_kills() > kills {
        let cure = "the system killed it because memory ran out; set its `memory = \"…\"` so that fewer stages run \
                    beside it, reduce batch_size or crop_size, or run fewer stages at a time with --jobs";
        return Message::Failed { class: ErrorClass::OutOfMemory, message: format!("{message}: {cure}") };
    }
    Message::Failed { class: ErrorClass::Lost, message }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGKILL) => "killed by signal 9".into(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}
