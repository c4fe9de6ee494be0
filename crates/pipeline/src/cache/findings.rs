//! Findings about data: what was computed from images and can be computed again. Each is one file in `findings/`, named by the
//! hash of everything that it follows from. No record names a finding and no key holds one; if a finding is missing or damaged,
//! it is computed again.

use super::durable::temporary_in;
use super::seal::{is_sealed, seal};
use super::{Digest, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tracing::debug;

/// The folder.
pub(super) const FOLDER: &str = "findings";

/// How often the use of a finding is noted at most. `gc` removes findings that were not used for a month.
const USE_NOTED: Duration = Duration::from_secs(24 * 3600);

/// The JSON in a finding's file.
#[derive(Serialize, Deserialize)]
struct StoredFinding<T> {
    /// Hash of everything that it follows from.
    #[serde(rename = "of")]
    source: Digest,
    #[serde(rename = "what")]
    finding: T,
}

impl Store {
    /// The finding that follows from `source`, if there is an undamaged one that reads as a `T`.
    pub fn read_finding<T: DeserializeOwned>(&self, source: Digest) -> Option<T> {
        let path = self.finding_path(source);
        let bytes = fs::read(&path).ok()?;
        if !is_sealed(&bytes) {
            return None;
        }
        let stored: StoredFinding<T> = serde_json::from_slice(&bytes).ok()?;
        let note_use = || -> Option<()> {
            let file = File::options().append(true).open(&path).ok()?;
            let age = SystemTime::now().duration_since(file.metadata().ok()?.modified().ok()?).ok()?;
            if age > USE_NOTED { file.set_modified(SystemTime::now()).ok() } else { None }
        };
        note_use();
        (stored.source == source).then_some(stored.finding)
    }

    /// Writes the `finding` that follows from `source`, unflushed. Failing to write it is no error: it will be computed again.
    pub fn write_finding<T: Serialize>(&self, source: Digest, finding: &T) {
        let path = self.finding_path(source);
        let write = || -> anyhow::Result<()> {
            let bytes = seal(serde_json::to_vec(&StoredFinding { source, finding })?);
            fs::create_dir_all(self.folder(FOLDER))?;
            let mut temporary = temporary_in(&self.folder(FOLDER))?;
            temporary.write_all(&bytes)?;
            temporary.persist(&path)?;
            Ok(())
        };
        if let Err(error) = write() {
            debug!(path = %path.display(), %error, "cannot write a finding");
        }
    }

    fn finding_path(&self, source: Digest) -> PathBuf {
        self.folder(FOLDER).join(format!("{source}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::empty_cache;
    use super::*;

    #[test]
    fn a_finding_is_read_until_it_is_damaged_or_belongs_to_another_source() {
        let (_dir, store) = empty_cache();
        let (source, other) = (Digest::of(b"a"), Digest::of(b"b"));
        let finding = vec![("x".to_owned(), 0.1 + 0.2)];
        let read = |source| store.read_finding::<Vec<(String, f64)>>(source);
        assert_eq!(read(source), None);
        store.write_finding(source, &finding);
        assert_eq!((read(source), read(other)), (Some(finding.clone()), None));
        assert_eq!(store.read_finding::<u8>(source), None, "of another version of the program");
        let path = store.finding_path(source);
        let bytes = fs::read(&path).unwrap();
        fs::write(store.finding_path(other), &bytes).unwrap();
        assert_eq!(read(other), None, "its file has the name of another source");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, flipped).unwrap();
            assert_eq!(read(source), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            fs::write(&path, &bytes[..end]).unwrap();
            assert_eq!(read(source), None);
        }
        store.write_finding(source, &finding);
        assert_eq!(read(source), Some(finding));
    }

    #[test]
    fn a_finding_that_cannot_be_written_is_no_error() {
        let (_dir, store) = empty_cache();
        // A file in place of the folder: permissions do not stop root, which runs the tests in a container.
        fs::write(store.folder(FOLDER), "").unwrap();
        store.write_finding(Digest::of(b"a"), &1);
        assert_eq!(store.read_finding::<i32>(Digest::of(b"a")), None);
    }
}
