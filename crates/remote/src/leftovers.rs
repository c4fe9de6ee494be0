//! What killed pushes have left in a folder: files with temporary names, which the store's library lists to nobody.

use crate::error::RemoteError;
use crate::shared_cache::SharedCache;
use anyhow::Context as _;
use matssl_pipeline::cache::Amount;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl SharedCache {
    /// Removes the files with temporary names that were not written since `limit`, in seconds since 1970; or only counts them. A
    /// bucket has none: there it is the bucket's own rule that ends uploads.
    pub(crate) fn remove_leftovers(&self, limit: i64, delete: bool) -> Result<Amount, RemoteError> {
        let mut amount = Amount::default();
        let Some(folder) = &self.folder else { return Ok(amount) };
        let limit = UNIX_EPOCH + Duration::from_secs(limit.try_into().unwrap_or(0));
        for part in [self.layout.objects(), self.layout.records(), self.layout.experiments(), self.layout.gc()] {
            for path in temporary_below(&folder.join(part.filename().unwrap_or_default())) {
                let Ok(file) = fs::metadata(&path) else { continue };
                if file.modified().unwrap_or(SystemTime::now()) < limit {
                    if delete {
                        fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
                    }
                    amount += file.len();
                }
            }
        }
        Ok(amount)
    }
}

/// The files below `folder` whose names end in `#` and a number.
fn temporary_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_temporary = || {
            let name = entry.file_name().into_string().ok()?;
            let (_, number) = name.rsplit_once('#')?;
            Some(!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(temporary_below(&entry.path())),
            Ok(kind) if kind.is_file() && is_temporary() == Some(true) => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
