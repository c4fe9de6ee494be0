//! The local executor: what computes runs in a worker process; what only waits for a program of the user's, in a thread.

use super::attempt::{Ground, Made, attempt};
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

/// What this run has started on this machine.
pub(super) struct LocalExecutor {
    program: &'static Program,
    executable: PathBuf,
    reports: Sender<Notice>,
    store: Store,
    /// What everything that this run starts carries in its environment.
    mark: String,
    committer: Option<Committer>,
    /// Ends what is left if this process does not come to it. Let go after the committer, which still clears folders.
    guard: Option<Guard>,
    running: HashMap<usize, Running>,
}

enum Running {
    Worker(Lifeline),
    /// In a thread: the programs that it starts belong to this group.
    Thread(Group),
}

/// Held open while a worker lives: closing it, by will or by death, ends the worker. Only it reaps the worker, after it has
/// killed its group: until then the group's number is nobody else's.
struct Lifeline {
    group: i32,
    /// There until it is dropped.
    child: Option<Child>,
    _stdin: ChildStdin,
}

impl LocalExecutor {
    /// For the run called `run`.
    pub(super) fn new(program: &'static Program, run: &str, store: &Store, reports: Sender<Notice>) -> Result<Self> {
        let executable = std::env::current_exe().context("cannot find this program's own file")?;
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

    /// Starts `job`: in a worker process, or, if it comes with the `records` of its inputs, which may not be in the cache
    /// yet, in a thread. What it says goes to `log`.
    pub(super) fn start(
        &mut self,
        id: usize,
        stage: &Arc<dyn Stage>,
        job: Job,
        material: KeyMaterial,
        records: Option<Vec<Record>>,
        log: &Path,
    ) -> Result<()> {
        // One that has died is replaced.
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
        // The sender is shared by whoever tells, not cloned: it is made for one thread.
        let told = Mutex::new(reports.clone());
        let ground = Ground {
            program: self.program,
            store: self.store.clone(),
            records,
            asked: Asked::default(),
            group: group.clone(),
            log: Some(log.to_owned()),
            mark: Some(machine::mark(&[&self.mark, &mark])),
            tell: Arc::new(move |message| {
                let told = told.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = told.send(Report::new(id, message).into());
            }),
        };
        let kills = machine::memory_kills();
        std::thread::Builder::new().spawn(move || {
            let started = Instant::now();
            if job.check {
                let message = match check(&job, stage.as_ref(), &material, &ground) {
                    Ok(differences) => Message::Checked { differences },
                    Err(error) => failed(&error, kills),
                };
                let _ = reports.send(Report::new(id, message).into());
                return;
            }
            let made = attempt(&job, stage.as_ref(), material, &ground);
            let seconds = started.elapsed().as_secs_f64();
            let report = match made {
                Ok(Made::Found(record)) => {
                    let message = Message::Finished { key: record.key, ran: false, seconds };
                    Report { id, message, record: Some(record) }
                }
                Ok(Made::Fresh(fresh)) => {
                    // In this order: whoever hears of the record has heard that the slot is free.
                    let record = Some(Arc::new(fresh.draft.record().clone()));
                    let _ = reports.send(Report { id, message: Message::Made, record }.into());
                    let _ = done.send(Done { id, fresh, seconds, mark });
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
            // candle and gemm ask these; the worker's own pool is built from the job.
            .env("RAYON_NUM_THREADS", job.threads.to_string())
            .env(machine::MARK, machine::mark(&[&self.mark]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A group of its own: Ctrl-C in the terminal reaches the run alone, and one signal reaches the worker
            // and all that it started.
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
                    // Output of a library: not ours, not worth stopping for.
                    Err(_) => {}
                }
            }
            let message = last.unwrap_or_else(|| lost(group, kills));
            let _ = reports.send(Report::new(id, message).into());
        });
        Ok(Running::Worker(Lifeline { group, child: Some(child), _stdin: stdin }))
    }

    /// Forgets a stage that has ended, and ends whatever it left running.
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

    /// Asks those that train for a checkpoint; others hear nothing.
    pub(super) fn ask_for_checkpoints(&self) {
        for running in self.running.values().filter(|running| matches!(running, Running::Worker(_))) {
            running.send(libc::SIGUSR1);
        }
    }

    /// Ends a stage now; what it says afterwards is its end.
    pub(super) fn kill(&self, id: usize) {
        if let Some(running) = self.running.get(&id) {
            running.kill();
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Ends all stages now; checkpoints stay.
    pub(super) fn stop_all(&mut self) {
        self.running.values().for_each(Running::kill);
        self.running.clear();
    }
}

impl Running {
    fn send(&self, signal: i32) {
        match self {
            Running::Worker(worker) => {
                // One that was stopped hears the signal only when it goes on.
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
        // Elsewhere, for a large process takes its time to go.
        if let Some(mut child) = self.child.take() {
            std::thread::spawn(move || child.wait());
        }
    }
}

/// What a worker that died without a word must have died of; `kills` is what the system had killed for want of memory
/// when it started.
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
    by_signal(status.signal(), kills, format!("the worker died without a word ({})", describe(status)))
}

fn failed(error: &StageError, kills: u64) -> Message {
    match error {
        StageError::Lost { signal, message } => by_signal(*signal, kills, message.clone()),
        error => Message::Failed { class: ErrorClass::from(error), message: error.to_string() },
    }
}

fn by_signal(signal: Option<i32>, kills: u64, message: String) -> Message {
    if signal == Some(libc::SIGKILL) && machine::memory_kills() > kills {
        let cure = "the system killed it for want of memory; give it `memory = \"…\"` so that less runs beside it, make it \
                    smaller (batch_size, crop_size), or run fewer stages at a time with --jobs";
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
