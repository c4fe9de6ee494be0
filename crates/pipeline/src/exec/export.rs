//! Copies tables, figures and overlays from the cache to `reports/<experiment>/`.

use crate::cache::{Digest, Record, Store};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// Copies every output of `records` into `folder`, except files that are already identical. Copies instead of links, so
/// that an edited report does not change the cache.
///
/// # Errors
/// A full or read-only disk.
pub fn export<'a>(store: &Store, records: impl IntoIterator<Item = &'a Record>, folder: &Path) -> Result<()> {
    for output in records.into_iter().flat_map(|record| &record.outputs) {
        let target = folder.join(&output.path);
        let same = fs::metadata(&target).is_ok_and(|file| file.len() == output.size)
            && Digest::of_file(&target).is_ok_and(|(digest, _)| digest == output.digest);
        if same {
            continue;
        }
        let parent = target.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot create the report folder {}", parent.display()))?;
        // Under a temporary name, so that a report is never incomplete.
        let mut temporary = tempfile::NamedTempFile::new_in(parent)?;
        let object = store.object(output.digest);
        let mut object = fs::File::open(&object)
            .with_context(|| format!("cannot read {} from the cache ({})", output.path, object.display()))?;
        // Shares the blocks where the file system can (reflinks).
        std::io::copy(&mut object, &mut temporary)?;
        if !Digest::of_file(temporary.path()).is_ok_and(|(digest, _)| digest == output.digest) {
            let (path, object) = (&output.path, store.object(output.digest));
            anyhow::bail!(
                "{path} is damaged in the cache ({}); `matssl-run cache verify` sets damaged files aside, and the \
                 next run recomputes them",
                object.display()
            );
        }
        temporary.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        temporary.persist(&target).with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(())
}
