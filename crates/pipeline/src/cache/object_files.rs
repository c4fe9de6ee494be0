//! The files in `objects/`.

use super::folder::{files_in, folders_in};
use super::{Digest, Store};
use anyhow::Result;
use rayon::prelude::*;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// A file in `objects/`.
pub(super) struct ObjectFile {
    /// The hash in its name; `None` for a file that is no object.
    pub(super) digest: Option<Digest>,
    pub(super) path: PathBuf,
    /// Size in bytes.
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
}

impl Store {
    /// Every file in `objects/`, ordered by path. Their content is not read.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub(super) fn object_files(&self) -> Result<Vec<ObjectFile>> {
        let shards = folders_in(&self.folder("objects"))?;
        let files = shards
            .into_par_iter()
            .map(|shard| {
                let prefix = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let files = files_in(&shard)?.into_iter().filter_map(|path| {
                    let rest = path.file_name()?.to_string_lossy();
                    let digest = format!("{prefix}{rest}").parse::<Digest>().ok();
                    let file = fs::symlink_metadata(&path).ok()?;
                    Some(ObjectFile { digest, path, size: file.len(), modified: file.modified().ok() })
                });
                Ok(files.collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(files.into_iter().flatten().collect())
    }
}
