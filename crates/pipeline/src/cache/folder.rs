//! Lists of files and folders.

use anyhow::{Context as _, Result};
use std::fs;
use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// Regular files directly in `folder`, sorted; none if there is no such folder.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries_in(folder, fs::FileType::is_file)
}

/// Folders directly in `folder`, sorted; none if there is no such folder.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries_in(folder, fs::FileType::is_dir)
}

fn entries_in(folder: &Path, wanted: impl Fn(&fs::FileType) -> bool) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // An entry that was removed meanwhile is left out.
            if entry.file_type().is_ok_and(|kind| wanted(&kind)) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// All files below `folder`, sorted.
///
/// # Errors
/// If a folder cannot be read.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// `path` relative to `folder`, with `/`.
///
/// # Errors
/// If the path is not below the folder, or is not UTF-8.
pub(super) fn relative_name(folder: &Path, path: &Path) -> Result<String> {
    let name = path.strip_prefix(folder)?;
    // Not replaced by similar characters: two names could become the same.
    let name = name.to_str().with_context(|| format!("{}: its name is not UTF-8; rename it", name.display()))?;
    Ok(name.replace(MAIN_SEPARATOR, "/"))
}
