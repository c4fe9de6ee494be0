//! A batch: the folder of the tasks of one job array.

use super::super::job::{Job, Message};
use crate::cache::{Key, Store, host_name};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The folder of all batches in a cache.
pub(super) const FOLDER: &str = "slurm";

/// The folder of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    path: PathBuf,
}

/// `batch.json`: facts about a batch, written first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Name of the experiment.
    pub(super) experiment: String,
    /// Host and process that submit it.
    pub(super) host: String,
    pub(super) process: u32,
    /// In seconds since 1970.
    pub(super) made_at: u64,
}

/// `submitted.json`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Submitted {
    /// Number of the job array.
    job: u64,
}

/// `tasks/<n>.json`: what one task runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) key: Key,
    pub(super) job: Job,
    /// Longest wall time of one attempt.
    pub(super) timeout: Option<Duration>,
}

impl Batch {
    /// Makes the folder of a new batch, whose name no other has.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub(super) fn create(store: &Store, experiment: &str) -> Result<Self> {
        let made_at = now();
        let process = std::process::id();
        let facts = Facts { experiment: experiment.to_owned(), host: host_name(), process, made_at };
        let folder = store.root().join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for number in 0.. {
            let path = folder.join(format!("matssl-{experiment}-{made_at}-{process}-{number}"));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => {
                    made.with_context(|| format!("cannot make {}", path.display()))?;
                    let batch = Batch { path };
                    for inner in ["tasks", "messages", "ended", "logs"] {
                        fs::create_dir(batch.path.join(inner))?;
                    }
                    write(&batch.path.join("batch.json"), &facts)?;
                    return Ok(batch);
                }
            }
        }
        unreachable!("the loop ends with a name")
    }

    pub(super) fn named(store: &Store, name: &str) -> Self {
        Batch { path: store.root().join(FOLDER).join(name) }
    }

    /// All batches of a cache.
    pub(super) fn all(store: &Store) -> Vec<Self> {
        let entries = fs::read_dir(store.root().join(FOLDER)).into_iter().flatten().flatten();
        let mut batches: Vec<Batch> = entries
            .map(|entry| Batch { path: entry.path() })
            .filter(|batch| batch.path.join("batch.json").exists())
            .collect();
        batches.sort_by(|a, b| a.path.cmp(&b.path));
        batches
    }

    /// Its name, and that of its job.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn script(&self) -> PathBuf {
        self.path.join("script.sh")
    }

    pub(super) fn log(&self, task: usize) -> PathBuf {
        self.path.join("logs").join(format!("{task}.log"))
    }

    pub(super) fn facts(&self) -> Option<Facts> {
        read(&self.path.join("batch.json"))
    }

    pub(super) fn write_task(&self, number: usize, task: &Task) -> Result<()> {
        write(&self.task_file(number), task)
    }

    /// # Errors
    /// If there is no such task.
    pub(super) fn task(&self, number: usize) -> Result<Task> {
        let path = self.task_file(number);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Numbers of its tasks.
    pub(super) fn tasks(&self) -> Vec<usize> {
        numbers(&self.path.join("tasks"))
    }

    fn task_file(&self, number: usize) -> PathBuf {
        self.path.join("tasks").join(format!("{number}.json"))
    }

    pub(super) fn write_submitted(&self, job: u64) -> Result<()> {
        write(&self.path.join("submitted.json"), &Submitted { job })
    }

    /// Slurm's number of the job array; `None` while it is not known to be accepted.
    pub(super) fn submitted(&self) -> Option<u64> {
        read::<Submitted>(&self.path.join("submitted.json")).map(|submitted| submitted.job)
    }

    /// Whether the process that submits it may still be at it.
    pub(super) fn is_being_submitted(&self) -> bool {
        /// `sbatch` gives up after less.
        const LONGEST: u64 = 300;
        let Some(facts) = self.facts() else { return false };
        if facts.host == host_name() {
            let process = facts.process as i32;
            // SAFETY: plain system call; signal 0 only asks whether the process exists.
            return facts.process == std::process::id() || unsafe { libc::kill(process, 0) } == 0;
        }
        now().saturating_sub(facts.made_at) < LONGEST
    }

    /// Adds a message of a task.
    pub(super) fn say(&self, task: usize, message: &Message) -> Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut file = fs::File::options().create(true).append(true).open(self.messages_file(task))?;
        Ok(file.write_all(&line)?)
    }

    /// The messages of a task from `offset` on, which then points behind them.
    pub(super) fn messages(&self, task: usize, offset: &mut u64) -> Vec<Message> {
        let mut text = Vec::new();
        let read = |text: &mut Vec<u8>| -> std::io::Result<()> {
            let mut file = fs::File::open(self.messages_file(task))?;
            file.seek(SeekFrom::Start(*offset))?;
            file.read_to_end(text).map(drop)
        };
        if read(&mut text).is_err() {
            return Vec::new();
        }
        // The last line may be half written.
        let complete = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        *offset += complete as u64;
        text[..complete].split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn messages_file(&self, task: usize) -> PathBuf {
        self.path.join("messages").join(format!("{task}.jsonl"))
    }

    /// Writes the last message of a task.
    pub(super) fn end(&self, task: usize, message: &Message) -> Result<()> {
        write(&self.path.join("ended").join(format!("{task}.json")), message)
    }

    /// Numbers of the tasks that have left their last message.
    pub(super) fn ended(&self) -> BTreeSet<usize> {
        numbers(&self.path.join("ended")).into_iter().collect()
    }

    /// The last message of a task.
    pub(super) fn last_message(&self, task: usize) -> Option<Message> {
        read(&self.path.join("ended").join(format!("{task}.json")))
    }

    /// Removes the folder: nothing needs it any more.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Writes a file in one step, flushed: another host reads it whole or not at all.
pub(super) fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> Result<()> {
        let mut temporary = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
        serde_json::to_writer(&mut temporary, value)?;
        temporary.as_file().sync_all()?;
        temporary.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        temporary.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The numbers in the names `<number>.json` in a folder.
fn numbers(folder: &Path) -> Vec<usize> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_once_and_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let batch = Batch::create(&store, "e").unwrap();
        assert_eq!(Batch::create(&store, "e").unwrap().name(), format!("{}1", batch.name().trim_end_matches('0')));
        let mut offset = 0;
        assert!(batch.messages(0, &mut offset).is_empty());
        batch.say(0, &Message::Begins).unwrap();
        let mut file = fs::File::options().append(true).open(batch.messages_file(0)).unwrap();
        file.write_all(b"\"waits_for").unwrap();
        assert_eq!(batch.messages(0, &mut offset), [Message::Begins]);
        assert!(batch.messages(0, &mut offset).is_empty());
        file.write_all(b"_other\"\n").unwrap();
        assert_eq!(batch.messages(0, &mut offset), [Message::WaitsForOther]);
        assert!(batch.ended().is_empty() && batch.last_message(0).is_none());
        batch.end(11, &Message::Begins).unwrap();
        assert_eq!(batch.ended().into_iter().collect::<Vec<_>>(), [11]);
        assert_eq!(batch.last_message(11), Some(Message::Begins));
        assert!(batch.is_being_submitted() && batch.submitted().is_none());
        batch.write_submitted(77).unwrap();
        assert_eq!(Batch::named(&store, &batch.name()).submitted(), Some(77));
        assert_eq!(Batch::all(&store).len(), 2);
    }
}
