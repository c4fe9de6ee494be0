//! Reads and writes a small file of the remote: a record, a list, the layout.

use crate::error::is_unsupported;
use crate::shared_cache::SharedCache;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode, UpdateVersion};

/// A larger file is none of these. So many bytes at most are in memory, whatever a server sends.
const MOST_BYTES: u64 = 64 << 20;

/// What a small file holds.
pub(crate) struct SmallFile {
    /// `None` if it is too large.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Its version in the store.
    pub(crate) version: UpdateVersion,
}

impl SharedCache {
    /// Reads the file at `path`.
    pub(crate) async fn read_small(&self, path: &Path) -> object_store::Result<SmallFile> {
        let found = self.store.get(path).await?;
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = if found.meta.size > MOST_BYTES { None } else { Some(found.bytes().await?.to_vec()) };
        Ok(SmallFile { bytes, version })
    }

    /// Writes the file at `path` by `mode`; over whatever is there if the store does not have this mode. Who asks for it has looked
    /// before.
    pub(crate) async fn write_small(&self, path: &Path, bytes: &[u8], mode: PutMode) -> object_store::Result<()> {
        let put = async |mode: PutMode| self.store.put_opts(path, bytes.to_vec().into(), mode.into()).await.map(drop);
        match self.patiently(async || put(mode.clone()).await).await {
            Err(error) if is_unsupported(&error) => self.patiently(async || put(PutMode::Overwrite).await).await,
            result => result,
        }
    }
}

/// How to write over this version only, which was read before.
pub(crate) fn over(version: UpdateVersion) -> PutMode {
    match version {
        UpdateVersion { e_tag: None, version: None } => PutMode::Overwrite,
        version => PutMode::Update(version),
    }
}
