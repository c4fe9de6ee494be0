//! Puts folders in their place, whole or not at all.

use super::error::ModelWriteError;
use super::folder::ModelFolder;
use super::sealed;
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Files of a model folder, all of which may be replaced. [`ModelFolder::ONNX`] is added after it was written.
const FILES: [&str; 5] =
    [ModelFolder::DESCRIPTION, ModelFolder::WEIGHTS, ModelFolder::REFERENCE, ModelFolder::README, ModelFolder::ONNX];

/// Number of random characters at the end of the name of an unfinished folder.
const RANDOM: usize = 6;

/// Calls `fill` with an empty folder beside `target`, and puts it in the place of `target` when it is full. What was there
/// before is a folder of models or empty, or is left as it is.
pub(super) fn publish<T>(
    target: &Path,
    fill: impl FnOnce(&Path) -> Result<T, ModelWriteError>,
) -> Result<T, ModelWriteError> {
    check_replaceable(target)?;
    let absolute = std::path::absolute(target).map_err(ModelWriteError::io(target))?;
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
    let (Some(parent), Some(name)) = (absolute.parent(), name) else { return Err(occupied(target, "is a root")) };
    fs::create_dir_all(parent).map_err(ModelWriteError::io(parent))?;
    // Beside it, because a rename does not leave its file system. The mode is cut by the umask, as that of any folder.
    let beside = |what: &str| {
        tempfile::Builder::new()
            .prefix(&format!(".{name}.{what}-"))
            .rand_bytes(RANDOM)
            .permissions(fs::Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(ModelWriteError::io(parent))
    };
    let new = beside("new")?;
    // Held until the end: it tells this folder from what a killed export left. A file system may know no locks.
    let held = fs::File::open(new.path()).map_err(ModelWriteError::io(new.path()))?;
    let _ = held.try_lock();
    let filled = fill(new.path())?;
    let in_place = |from: &Path, to: &Path| fs::rename(from, to).map_err(ModelWriteError::io(target));
    if absolute.exists() {
        let old = beside("old")?;
        let held = fs::File::open(old.path()).map_err(ModelWriteError::io(old.path()))?;
        let _ = held.try_lock();
        in_place(&absolute, &old.path().join("model"))?;
        if let Err(error) = in_place(new.path(), &absolute) {
            in_place(&old.path().join("model"), &absolute)?;
            return Err(error);
        }
    } else {
        in_place(new.path(), &absolute)?;
    }
    // It has moved: nothing is left to be removed.
    let _ = new.keep();
    drop(held);
    // Not before: an old model may be all that is left of it.
    remove_leftovers(parent, &name);
    Ok(filled)
}

/// Removes what exports to the folder `name` in `parent` left when they were killed: folders of the names that [`publish`] gives
/// and that no process has locked. What cannot be removed stays.
fn remove_leftovers(parent: &Path, name: &str) {
    for path in fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let found = path.file_name().map(|found| found.to_string_lossy().into_owned()).unwrap_or_default();
        let random = ["new", "old"].iter().find_map(|what| found.strip_prefix(&format!(".{name}.{what}-")));
        let is_ours = random.is_some_and(|random| random.len() == RANDOM && random.chars().all(char::is_alphanumeric));
        if is_ours && !path.is_symlink() && fs::File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn occupied(path: &Path, problem: &str) -> ModelWriteError {
    ModelWriteError::Occupied { path: path.to_owned(), problem: problem.to_owned() }
}

/// Checks that nothing is lost if `target` is replaced.
///
/// # Errors
/// It is a file, or holds what no export writes.
fn check_replaceable(target: &Path) -> Result<(), ModelWriteError> {
    if !target.exists() && !target.is_symlink() {
        return Ok(());
    }
    if target.is_symlink() {
        return Err(occupied(target, "is a link"));
    }
    if !target.is_dir() {
        return Err(occupied(target, "is a file"));
    }
    match foreign(target, true).map_err(ModelWriteError::io(target))? {
        Some(file) => {
            let name = file.strip_prefix(target).unwrap_or(&file).display().to_string();
            Err(occupied(target, &format!("holds {name}, which is no part of a model folder and would be lost")))
        }
        None => Ok(()),
    }
}

/// The first file below `folder` that is no part of a model folder, or of an ensemble if it `may_hold_members`.
fn foreign(folder: &Path, may_hold_members: bool) -> std::io::Result<Option<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let has_description = entries.iter().any(|path| path.ends_with(ModelFolder::DESCRIPTION));
    for path in entries {
        let is_ours = path.file_name().is_some_and(|name| FILES.iter().any(|file| name == *file));
        if !path.is_symlink() && path.is_dir() && may_hold_members {
            if let Some(file) = foreign(&path, false)? {
                return Ok(Some(file));
            }
        } else if !is_ours || !has_description || path.is_dir() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Writes `model.json` into `folder`, whole or not at all. Returns what [`ModelFolder::digest`] is.
pub(super) fn write_description(folder: &Path, description: &impl Serialize) -> Result<String, ModelWriteError> {
    let path = folder.join(ModelFolder::DESCRIPTION);
    let text = sealed::seal(description).map_err(std::io::Error::from).map_err(ModelWriteError::io(&path))?;
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)?;
        file.write_all(&text)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(ModelWriteError::io(&path))?;
    let object = serde_json::from_slice(&text).map_err(std::io::Error::from).map_err(ModelWriteError::io(&path))?;
    sealed::identity(object).map_err(std::io::Error::from).map_err(ModelWriteError::io(&path))
}
