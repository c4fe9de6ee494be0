//! The folder of results: one run at a time, and records of what was predicted.

use super::{ImageResult, Results};
use crate::output::{ImageFiles, WholeFile};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// A folder that is new, empty, or was written by `predict`; locked for this run.
#[derive(Debug)]
pub struct ResultsFolder {
    root: PathBuf,
    /// What records of earlier runs name.
    earlier: Vec<Earlier>,
    /// Held until the run ends.
    _lock: File,
}

/// Why a folder cannot hold results.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}; {cure}", path = path.display())]
pub struct Occupied {
    path: PathBuf,
    problem: String,
    cure: &'static str,
}

/// The record of a predicted image.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Hash of all that its results depend on.
    key: String,
    result: ImageResult,
}

/// What a record of an earlier run names.
#[derive(Debug)]
struct Earlier {
    record: PathBuf,
    image: String,
    files: ImageFiles,
}

impl Earlier {
    fn read(record: PathBuf) -> Option<Self> {
        #[derive(Deserialize)]
        struct Named {
            result: Files,
        }
        #[derive(Deserialize)]
        struct Files {
            image: String,
            files: ImageFiles,
        }
        let Named { result } = serde_json::from_slice(&fs::read(&record).ok()?).ok()?;
        Some(Earlier { record, image: result.image, files: result.files })
    }
}

/// Inside the folder: the lock, records and unfinished files. That it is there says that `predict` wrote the folder.
const STATE: &str = ".matssl-predict";

impl ResultsFolder {
    /// Files of the whole run, which are written last.
    pub const FRACTIONS: &'static str = "fractions.csv";
    /// A row for each specimen and class.
    pub const SUMMARY: &'static str = "summary.csv";
    /// For programs.
    pub const JSON: &'static str = "predict.json";
    /// The page.
    pub const PAGE: &'static str = "index.html";

    /// Opens `root`, which is made if it is not there, and removes what a killed run left unfinished.
    ///
    /// # Errors
    /// [`Occupied`]: it is no folder, holds what `predict` did not write, cannot be written, or another run uses it.
    pub fn open(root: &Path) -> Result<Self, Occupied> {
        let refuse = |problem: String, cure| Occupied { path: root.to_path_buf(), problem, cure };
        const OTHER: &str = "choose another folder with -o";
        fs::create_dir_all(root).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => refuse("is not a folder".into(), OTHER),
            _ => refuse(format!("cannot be made ({error})"), OTHER),
        })?;
        let mut entries = fs::read_dir(root).map_err(|error| refuse(format!("cannot be listed ({error})"), OTHER))?;
        if entries.next().is_some() && !Self::is_one(root) {
            let results = [Self::FRACTIONS, Self::SUMMARY, Self::JSON, Self::PAGE, "masks"];
            if results.iter().any(|name| root.join(name).exists()) {
                let problem = format!("looks like results of `predict`, but its hidden folder `{STATE}` is not there");
                return Err(refuse(problem, "choose a new folder with -o, or delete this one"));
            }
            return Err(refuse("holds files that `predict` did not write".into(), OTHER));
        }
        let state = root.join(STATE);
        let unusable = |error: std::io::Error| refuse(format!("cannot be written ({error})"), OTHER);
        fs::create_dir_all(state.join("records")).map_err(unusable)?;
        let lock = File::create(state.join("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                refuse("another run is writing results there".into(), "wait for it, or choose another folder with -o")
            }
            TryLockError::Error(error) => unusable(error),
        })?;
        let records = fs::read_dir(state.join("records")).map_err(unusable)?;
        let earlier = records.flatten().filter_map(|entry| Earlier::read(entry.path())).collect();
        let folder = ResultsFolder { root: root.to_path_buf(), earlier, _lock: lock };
        let _ = fs::remove_dir_all(folder.work());
        fs::create_dir_all(folder.work()).map_err(unusable)?;
        Ok(folder)
    }

    /// Whether `folder` is one that `predict` writes.
    pub fn is_one(folder: &Path) -> bool {
        folder.join(STATE).is_dir()
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// For unfinished files.
    pub fn work(&self) -> PathBuf {
        self.root.join(STATE).join("work")
    }

    fn record(&self, mask: &str) -> PathBuf {
        let name = blake3::hash(mask.as_bytes()).to_hex();
        self.root.join(STATE).join("records").join(format!("{name}.json"))
    }

    /// The results of the image whose mask is the file `mask`, if they are there with the key `key` and all files are whole.
    pub fn known(&self, mask: &str, key: &str) -> Option<ImageResult> {
        let text = fs::read(self.record(mask)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        (record.key == key && record.result.is_whole(&self.root)).then_some(record.result)
    }

    /// Remembers the results of an image.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn keep(&self, key: &str, result: &ImageResult) -> Result<()> {
        let record = Record { key: key.to_owned(), result: result.clone() };
        WholeFile::write(&self.work(), &self.record(&result.files.mask), &serde_json::to_vec(&record)?)
    }

    /// Removes the files that earlier runs wrote for `image`, or for another image with the same mask, and their records.
    /// What is in `new` (the files of `image`, none if it failed) stays, and what is `of_other` images of this run.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn remove_earlier(&self, image: &str, new: Option<&ImageFiles>, of_other: &dyn Fn(&str) -> bool) -> Result<()> {
        let new_mask = new.map(|files| files.mask.as_str());
        let replaced = |earlier: &&Earlier| earlier.image == image || Some(earlier.files.mask.as_str()) == new_mask;
        for earlier in self.earlier.iter().filter(replaced) {
            let stays = |name: &str| of_other(name) || new.is_some_and(|new| new.all().any(|path| path == name));
            let is_inside = |name: &str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            for name in earlier.files.all().filter(|name| is_inside(name) && !stays(name)) {
                let path = self.root.join(name);
                remove(&path)?;
                let folders = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
                // Up to the first one that holds something.
                let _ = folders.map(fs::remove_dir).find(Result::is_err);
            }
            // The record of another image that is predicted in this run is its own.
            if new_mask != Some(&*earlier.files.mask) && !of_other(&earlier.files.mask) {
                remove(&earlier.record)?;
            }
        }
        Ok(())
    }

    /// Removes the tables of an earlier run: they say nothing of the images that are predicted now.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn remove_tables(&self) -> Result<()> {
        for name in [Self::FRACTIONS, Self::SUMMARY, Self::JSON, Self::PAGE] {
            remove(&self.root.join(name))?;
        }
        Ok(())
    }

    /// Writes tables, `predict.json` and the page.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write_tables(&self, results: &Results) -> Result<()> {
        let json = serde_json::to_string_pretty(&results.json())? + "\n";
        let files = [
            (Self::FRACTIONS, results.fractions_csv()?),
            (Self::SUMMARY, results.summary_csv()?),
            (Self::JSON, json.into_bytes()),
            (Self::PAGE, results.page().into_bytes()),
        ];
        files.iter().try_for_each(|(name, bytes)| WholeFile::write(&self.work(), &self.root.join(name), bytes))
    }
}

/// Removes the file `path` if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

impl Drop for ResultsFolder {
    fn drop(&mut self) {
        // Empty, but for what is being written: nothing after the end of a run.
        let _ = fs::remove_dir_all(self.work());
    }
}
