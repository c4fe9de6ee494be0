//! Folders of images, with the folders inside them if the data set is `recursive`.

use super::files::{FilesOfFolder, directly_in, files_in};
use crate::DataError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folders of a data set that hold images or masks.
#[derive(Debug)]
pub(super) struct Folders<'a> {
    root: &'a Path,
    /// All of them; one that lies inside another is not a part of that.
    named: Vec<PathBuf>,
    recursive: bool,
}

impl<'a> Folders<'a> {
    /// The folders `named` (inside the data set) of the data set at `root`.
    pub(super) fn new<'n>(root: &'a Path, named: impl IntoIterator<Item = &'n str>, recursive: bool) -> Self {
        let named = named.into_iter().map(|folder| root.join(folder)).collect();
        Folders { root, named, recursive }
    }

    /// The files of `folder`, if the data set is recursive with those of all folders in it. Links are followed, each folder
    /// is read once.
    ///
    /// # Errors
    /// [`DataError`] with `cure` if there is no such folder.
    pub(super) fn files(&self, folder: &str, cure: impl FnOnce() -> String) -> Result<FilesOfFolder, DataError> {
        let mut all = files_in(self.root, folder, cure)?;
        if !self.recursive {
            return Ok(all);
        }
        let mut seen: BTreeSet<PathBuf> = self.root.join(folder).canonicalize().into_iter().collect();
        let mut waiting = std::mem::take(&mut all.folders);
        while let Some((name, path)) = waiting.pop() {
            if self.named.contains(&path) || !path.canonicalize().is_ok_and(|path| seen.insert(path)) {
                continue;
            }
            let mut inside = files_in(self.root, &name, || "put the folder back".into())?;
            all.images.append(&mut inside.images);
            all.others.append(&mut inside.others);
            waiting.append(&mut inside.folders);
        }
        all.images.sort();
        all.others.sort();
        Ok(all)
    }

    /// [`Folders::files`] of a folder of images.
    ///
    /// # Errors
    /// [`DataError`] as there, and if only the folders inside hold images, which are not read.
    pub(super) fn images(&self, folder: &str, cure: impl FnOnce() -> String) -> Result<FilesOfFolder, DataError> {
        let all = self.files(folder, cure)?;
        if self.recursive || !all.images.is_empty() {
            return Ok(all);
        }
        match self.deeper(&all.folders) {
            None => Ok(all),
            Some(inside) => {
                let problem = format!("holds no images itself, and the folders inside it do ({inside})");
                let cure = "add `recursive = true`, which reads them, too";
                let path = if folder == "." { self.root.to_path_buf() } else { self.root.join(folder) };
                Err(DataError::bad(&path, problem, cure))
            }
        }
    }

    /// The first folder in or below `folders` that holds images and is no folder of its own of the data set.
    fn deeper(&self, folders: &[(String, PathBuf)]) -> Option<String> {
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        let mut waiting: Vec<(String, PathBuf)> = folders.iter().rev().cloned().collect();
        while let Some((name, path)) = waiting.pop() {
            if self.named.contains(&path) || !path.canonicalize().is_ok_and(|path| seen.insert(path)) {
                continue;
            }
            let Ok(inside) = files_in(self.root, &name, String::new) else { continue };
            if !inside.images.is_empty() {
                return Some(name);
            }
            waiting.extend(inside.folders.into_iter().rev());
        }
        None
    }

    /// Those of `names` (paths inside the data set) that [`Folders::files`] of `folder` gives, in order.
    pub(super) fn among<'n>(&self, names: &[&'n str], folder: &str) -> Vec<&'n str> {
        if !self.recursive {
            return directly_in(names, folder);
        }
        let wanted = self.root.join(folder);
        let is_inside = |name: &&&str| {
            let path = self.root.join(name);
            let holds = |folder: &&PathBuf| path.starts_with(folder);
            self.named.iter().filter(holds).max_by_key(|folder| folder.components().count()) == Some(&wanted)
        };
        names.iter().filter(is_inside).copied().collect()
    }
}
