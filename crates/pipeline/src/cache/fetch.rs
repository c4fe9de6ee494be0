//! Brings objects from the remote to this disk. Each is held to its hash before it gets its name in `objects/`; a record is
//! written when all of its objects are there.

use super::adopted::Adopted;
use super::remote::{Download, DownloadError};
use super::{Digest, Draft, Gate, Key, Output, Record, Store};
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tracing::debug;

/// How often an object is downloaded before it counts as damaged: the network may have damaged it, not the remote.
const TRIES: usize = 2;

/// Why an object is not here.
#[derive(Clone, Debug)]
struct Fault {
    why: String,
    /// Whether the remote's copy is at fault, and not the way to it.
    is_damaged: bool,
}

impl Store {
    /// Brings everything that `records` name. Those that were only in the remote are in this cache then. Returns the records
    /// that cannot be had, each with the reason; they are not found any more. What is damaged is named to the user.
    ///
    /// # Errors
    /// If this cache cannot be written.
    pub fn fetch(&self, records: &[Arc<Record>]) -> Result<BTreeMap<Key, String>> {
        let Some(adopted) = &self.remote else { return Ok(BTreeMap::new()) };
        let mut records: Vec<&Arc<Record>> =
            records.iter().filter(|record| adopted.record(record.key).is_some()).collect();
        records.sort_by_key(|record| record.key);
        records.dedup_by_key(|record| record.key);
        if records.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.make()?;
        // `gc` must not remove an object that is here already before the record names it.
        let gate = Gate::shared(self)?;
        let outputs: BTreeMap<Digest, &Output> =
            records.iter().flat_map(|record| &record.outputs).map(|output| (output.digest, output)).collect();
        let faults = self.bring_all(adopted, &outputs)?;
        let scratch = self.private_folder()?;
        let mut drafts = Vec::new();
        let mut failed = BTreeMap::new();
        for record in records {
            match faults_of(record, &faults) {
                None => drafts.push(Draft {
                    record: record.as_ref().clone(),
                    folder: scratch.folder(),
                    replace: false,
                    new_objects: Vec::new(),
                    fault: None,
                    _gate: None,
                }),
                Some(why) => {
                    self.give_up(adopted, record, &faults);
                    failed.insert(record.key, why);
                }
            }
        }
        for record in self.commit(drafts) {
            adopted.forget(record?.key);
        }
        drop(gate);
        Ok(failed)
    }

    /// Brings one object of `record`. If it cannot be had, the record does not count any more.
    pub(super) fn fetch_object(&self, record: &Record, digest: Digest) {
        let Some(adopted) = &self.remote else { return };
        let outputs = record.outputs.iter().filter(|output| output.digest == digest);
        let outputs = outputs.map(|output| (output.digest, output)).collect();
        match self.make().and_then(|()| self.bring_all(adopted, &outputs)) {
            Ok(faults) if faults.is_empty() => {}
            Ok(faults) => self.give_up(adopted, record, &faults),
            Err(error) => adopted.remote.say(&format!("cannot write the cache: {error:#}")),
        }
    }

    /// Forgets a record that cannot be had. If the remote's copy is at fault, says so, and notes it for the next run.
    fn give_up(&self, adopted: &Adopted, record: &Record, faults: &BTreeMap<Digest, Fault>) {
        adopted.forget(record.key);
        let is_damaged = |output: &&Output| faults.get(&output.digest).is_some_and(|fault| fault.is_damaged);
        let damaged: Vec<&Output> = record.outputs.iter().filter(is_damaged).collect();
        let Some(first) = damaged.first() else { return };
        self.refuse(record.key, &damaged.iter().map(|output| output.digest).collect::<Vec<_>>());
        let (stage, host, path, digest) = (&record.made.stage, &record.made.host, &first.path, first.digest);
        let why = faults.get(&first.digest).map(|fault| fault.why.as_str()).unwrap_or_default();
        let others = match damaged.len() {
            1 => String::new(),
            more => format!(" (and {} more of its files)", more - 1),
        };
        adopted.remote.say(&format!(
            "the shared cache is damaged: {path} of {stage}, made on {host}, {why}{others}; the object is {digest}; it is not \
             used, and the stage is computed again where it is needed"
        ));
    }

    /// Downloads the objects of `outputs` that are not here. Returns those that cannot be had.
    fn bring_all(&self, adopted: &Adopted, outputs: &BTreeMap<Digest, &Output>) -> Result<BTreeMap<Digest, Fault>> {
        let scratch = self.private_folder()?;
        let mut missing: Vec<&Output> = outputs.values().copied().filter(|output| !self.holds(output)).collect();
        let mut faults = BTreeMap::new();
        for last in (1..=TRIES).map(|attempt| attempt == TRIES) {
            if missing.is_empty() {
                break;
            }
            let wanted: Vec<Download> = missing.iter().map(|output| download_of(output, &scratch.folder())).collect();
            let mut again = BTreeSet::new();
            let mut broken = None;
            adopted.remote.download(&wanted, &mut |index, result| {
                let Some(output) = missing.get(index) else { return };
                let outcome = match result {
                    Ok(()) => self.admit(output, &wanted[index].file, last),
                    Err(error) => fault_of(output, error).map(Some),
                };
                match outcome {
                    Ok(None) => {}
                    Ok(Some(fault)) if fault.is_damaged && !last => drop(again.insert(output.digest)),
                    Ok(Some(fault)) => drop(faults.insert(output.digest, fault)),
                    Err(error) => broken = Some(error),
                }
            });
            if let Some(error) = broken {
                return Err(error);
            }
            missing.retain(|output| again.contains(&output.digest));
        }
        Ok(faults)
    }

    /// Whether the object is on this disk with the right content. It is read: no record vouches for it.
    fn holds(&self, output: &Output) -> bool {
        let path = self.object_path(output.digest);
        fs::metadata(&path).is_ok_and(|file| file.len() == output.size)
            && Digest::of_file(&path).is_ok_and(|(digest, _)| digest == output.digest)
    }

    /// Holds a downloaded file to its hash and gives it its name. A file with another content goes to `damaged/` at the last
    /// try.
    fn admit(&self, output: &Output, file: &Path, is_last: bool) -> Result<Option<Fault>> {
        let (digest, size) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
        if digest != output.digest {
            debug!(expected = %output.digest, arrived = %digest, size, "an object of the remote has another content");
            if is_last {
                let folder = self.folder("damaged");
                fs::create_dir_all(&folder)?;
                fs::rename(file, folder.join(format!("{}.remote", output.digest)))?;
            }
            let why = if size == output.size {
                "does not match its hash".to_owned()
            } else {
                format!("has {size} bytes in the place of {}", output.size)
            };
            return Ok(Some(Fault { why, is_damaged: true }));
        }
        fs::set_permissions(file, fs::Permissions::from_mode(0o444))?;
        let object = self.object_path(digest);
        match fs::rename(file, &object) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(object.parent().unwrap_or(self.root()))?;
                fs::rename(file, &object)?;
            }
            renamed => renamed?,
        }
        Ok(None)
    }
}

fn download_of(output: &Output, folder: &Path) -> Download {
    Download { digest: output.digest, size: output.size, file: folder.join(output.digest.to_string()) }
}

/// What is wrong with the remote's copy, or with the way to it.
///
/// # Errors
/// If it is this disk that cannot take the file.
fn fault_of(output: &Output, error: DownloadError) -> Result<Fault> {
    Ok(match error {
        DownloadError::Missing => Fault { why: "is missing there".into(), is_damaged: true },
        DownloadError::Size(size) => {
            Fault { why: format!("has {size} bytes in the place of {}", output.size), is_damaged: true }
        }
        DownloadError::Failed(why) => Fault { why: format!("cannot be fetched: {why}"), is_damaged: false },
        DownloadError::Disk(kind, why) => return Err(io::Error::new(kind, why).into()),
    })
}

/// Why `record` cannot be had.
fn faults_of(record: &Record, faults: &BTreeMap<Digest, Fault>) -> Option<String> {
    let first = record.outputs.iter().find_map(|output| Some((output, faults.get(&output.digest)?)))?;
    Some(format!("{} {}", first.0.path, first.1.why))
}
