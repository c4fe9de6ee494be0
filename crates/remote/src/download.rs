//! Brings one object to a file. A connection that breaks is taken up where it broke.

use crate::error::words;
use crate::shared_cache::SharedCache;
use futures_util::StreamExt as _;
use matssl_pipeline::cache::{Download, DownloadError};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore as _};
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

/// So many connections may break without a byte between them.
const MOST_STALLS: u32 = 4;
/// Time before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

impl SharedCache {
    /// Downloads `wanted` to its file; `seen` gets the number of new bytes.
    pub(crate) async fn download_one(
        &self,
        wanted: &Download,
        seen: &(dyn Fn(u64) + Sync),
    ) -> Result<(), DownloadError> {
        let path = self.layout.object(wanted.digest);
        let local =
            |error: std::io::Error| DownloadError::Failed(format!("cannot write {}: {error}", wanted.file.display()));
        let mut file = File::create(&wanted.file).map_err(local)?;
        let mut have = 0;
        let mut stalls = 0;
        loop {
            let before = have;
            match self.download_from(&path, wanted.size, &mut have, &mut file, seen).await {
                Ok(()) => {
                    self.succeeded();
                    return Ok(());
                }
                Err(Broken::Remote(Error::NotFound { .. })) => {
                    self.succeeded();
                    return Err(DownloadError::Missing);
                }
                Err(Broken::Size(size)) => {
                    self.succeeded();
                    return Err(DownloadError::Size(size));
                }
                Err(Broken::Local(error)) => return Err(local(error)),
                Err(Broken::Remote(error)) => {
                    stalls = if have > before { 0 } else { stalls + 1 };
                    if stalls >= MOST_STALLS || self.is_lost() || crate::error::is_denied(&error) {
                        self.failed(&error);
                        return Err(DownloadError::Failed(words(&error)));
                    }
                    tracing::debug!(object = %wanted.digest, have, why = words(&error), "the connection broke");
                    tokio::time::sleep(PAUSE * 2_u32.pow(stalls)).await;
                }
            }
        }
    }

    /// Appends what follows `have` bytes.
    async fn download_from(
        &self,
        path: &Path,
        size: u64,
        have: &mut u64,
        file: &mut File,
        seen: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Broken> {
        let range = Some(GetRange::Offset(*have)).filter(|_| *have > 0);
        let found = self.store.get_opts(path, GetOptions::new().with_range(range)).await.map_err(Broken::Remote)?;
        if found.meta.size != size {
            return Err(Broken::Size(found.meta.size));
        }
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(Broken::Remote)?;
            *have += chunk.len() as u64;
            // A server that sends more than it said must not fill the disk.
            if *have > size {
                return Err(Broken::Size(*have));
            }
            // Written here: the runtime's threads have nothing else to do.
            file.write_all(&chunk).map_err(Broken::Local)?;
            seen(chunk.len() as u64);
        }
        if *have < size { Err(Broken::Remote(incomplete())) } else { Ok(()) }
    }
}

/// Why a download stopped.
enum Broken {
    Remote(Error),
    Size(u64),
    Local(std::io::Error),
}

fn incomplete() -> Error {
    Error::Generic { store: "remote", source: "the connection ended before the object".into() }
}
