//! The folder of a preview. What another program wrote there is never touched.

use super::super::outcome::Stop;
use crate::data::DataError;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// A folder that is new, empty, or was written by an earlier preview.
pub(super) struct PreviewFolder {
    root: PathBuf,
}

/// The file that says that a preview wrote the folder, and lists its pictures, one a line.
const MARKER: &str = ".matssl-preview";
/// The first line of the marker.
const HEADING: &str = "# Written by `matssl-run data --preview`, which replaces the files listed here.";

impl PreviewFolder {
    /// The page of all pictures.
    pub(super) const PAGE: &'static str = "index.html";

    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// If it is a file, cannot be made, or holds what no preview wrote.
    pub(super) fn open(root: &Path) -> Result<PreviewFolder, Stop> {
        let shown = root.display();
        let refused = |problem: String| Stop::bad_request(format!("--preview {shown}: {problem}"));
        std::fs::create_dir_all(root).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => refused("not a folder; choose another name".into()),
            _ => refused(format!("cannot be made ({error}); choose another folder")),
        })?;
        let mut entries = std::fs::read_dir(root)
            .map_err(|error| refused(format!("cannot be listed ({error}); choose another folder")))?;
        if entries.next().is_some() && !root.join(MARKER).is_file() {
            let problem = "holds files that no preview wrote; choose an empty folder or a new name";
            return Err(refused(problem.into()));
        }
        Ok(PreviewFolder { root: root.to_path_buf() })
    }

    /// Removes the pictures of the preview before, and notes those that come now (paths inside the folder).
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(super) fn begin<'a>(&self, files: impl Iterator<Item = &'a str>) -> Result<(), DataError> {
        let before = std::fs::read_to_string(self.root.join(MARKER)).unwrap_or_default();
        for name in before.lines().skip(1).filter(|name| is_inside(name)) {
            // A picture that is gone already is as good.
            let _ = std::fs::remove_file(self.root.join(name));
        }
        let lines: Vec<&str> = std::iter::once(HEADING).chain(files).collect();
        self.write(MARKER, (lines.join("\n") + "\n").as_bytes())
    }

    /// Writes a file, and its folders.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataError> {
        let path = self.path(name);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|source| DataError::Write { path, source })
    }

    /// The path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// Whether `name` is a path of a picture inside the folder: a marker that was edited deletes nothing else.
fn is_inside(name: &str) -> bool {
    let path = Path::new(name);
    name.ends_with(".png") && path.components().all(|part| matches!(part, Component::Normal(_)))
}
