//! Logs of stages that say nothing, used again: a file made and removed for each of a thousand stages would make ext4 look
//! past all of those, for minutes, whenever it makes another (it does not give their inodes away at once).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Empty files beside the logs of one run, under names that are nobody's log.
#[derive(Debug, Default)]
pub(super) struct SpareLogs {
    free: Mutex<Vec<PathBuf>>,
}

impl SpareLogs {
    /// Puts an empty file where `log` will be written, if there is one to spare; else whoever writes makes it.
    pub(super) fn begin(&self, log: &Path) {
        let spare = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(spare) = spare
            // What an earlier try has said stays.
            && (log.exists() || fs::rename(&spare, log).is_err())
        {
            let _ = fs::remove_file(spare);
        }
    }

    /// A log of nothing is none: `log` is taken away if it is empty.
    pub(super) fn end(&self, log: &Path) {
        if !fs::metadata(log).is_ok_and(|log| log.len() == 0) {
            return;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = log.with_file_name(format!(".spare-{}", free.len()));
        if fs::rename(log, &spare).is_ok() {
            free.push(spare);
        }
    }
}

impl Drop for SpareLogs {
    fn drop(&mut self) {
        for spare in self.free.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = fs::remove_file(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_log_is_used_again_and_none_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let names = || {
            let mut names: Vec<String> = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let logs = SpareLogs::default();
        let [first, second, third] = ["a.log", "b.log", "c.log"].map(|name| dir.path().join(name));
        fs::write(&first, "").unwrap();
        fs::write(&second, "said").unwrap();
        logs.end(&first);
        logs.end(&second);
        logs.end(&third);
        assert_eq!(names(), [".spare-0", "b.log"]);
        logs.begin(&third);
        assert_eq!(names(), ["b.log", "c.log"]);
        logs.end(&third);
        // A second try at a stage goes on in its log.
        logs.begin(&second);
        assert_eq!(fs::read_to_string(&second).unwrap(), "said");
        drop(logs);
        assert_eq!(names(), ["b.log"]);
    }
}
