//! Writes a file that is not there yet.

use super::super::outcome::Stop;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes `text` to `path`; an existing file is never overwritten, not even one that was created a moment ago.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Stop> {
    let written = OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let shown = path.display();
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Stop::bad_request(format!("{shown} exists already; choose another name")))
        }
        Err(error) => Err(Stop::writing(path, &error)),
    }
}
