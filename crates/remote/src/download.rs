//! Brings one object to a file. A connection that breaks is taken up where it broke.

use crate::error::{is_denied, is_silence, words};
use crate::shared_cache::SharedCache;
use futures_util::StreamExt as _;
use matssl_pipeline::cache::{Download, DownloadError};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore as _};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Duration;

/// So many connections may break without a byte that was not here before.
const MOST_STALLS: u32 = 4;
/// Time before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// How far a download is.
#[derive(Default)]
struct Progress {
    /// Bytes in the file.
    have: u64,
    /// Most bytes that were ever in the file.
    furthest: u64,
}

impl SharedCache {
    /// Downloads `wanted` to its file; `seen` gets the number of new bytes.
    pub(crate) async fn download_one(
        &self,
        wanted: &Download,
        seen: &(dyn Fn(u64) + Sync),
    ) -> Result<(), DownloadError> {
        // Thousands of objects may be in the queue, and each question to a dead server takes seconds.
        if self.is_lost() {
            return Err(DownloadError::Failed("the shared cache cannot be reached".into()));
        }
        let path = self.layout.object(wanted.digest);
        let local = |error: std::io::Error| {
            DownloadError::Disk(error.kind(), format!("cannot write {}: {error}", wanted.file.display()))
        };
        let mut file = File::create(&wanted.file).map_err(local)?;
        let mut progress = Progress::default();
        let mut stalls = 0;
        loop {
            let Progress { have, furthest } = progress;
            match self.download_from(&path, wanted.size, &mut progress, &mut file, seen).await {
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
                    stalls = if progress.furthest > furthest { 0 } else { stalls + 1 };
                    if stalls >= MOST_STALLS || self.is_lost() || is_denied(&error) || is_silence(&error) {
                        self.failed(&error);
                        return Err(DownloadError::Failed(words(&error)));
                    }
                    tracing::debug!(object = %wanted.digest, have, why = words(&error), "the connection broke");
                    if progress.have == have && have > 0 {
                        // Some web servers send only whole files.
                        file.set_len(0).and_then(|()| file.rewind()).map_err(local)?;
                        progress.have = 0;
                    }
                    tokio::time::sleep(PAUSE * 2_u32.pow(stalls)).await;
                }
            }
        }
    }

    /// Appends what follows the bytes that are there.
    async fn download_from(
        &self,
        path: &Path,
        size: u64,
        progress: &mut Progress,
        file: &mut File,
        seen: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Broken> {
        let range = Some(GetRange::Offset(progress.have)).filter(|_| progress.have > 0);
        let found = self.store.get_opts(path, GetOptions::new().with_range(range)).await.map_err(Broken::Remote)?;
        if found.meta.size != size {
            return Err(Broken::Size(found.meta.size));
        }
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(Broken::Remote)?;
            // A server that sends more than it said must not fill the disk.
            if progress.have + chunk.len() as u64 > size {
                return Err(Broken::Size(progress.have + chunk.len() as u64));
            }
            // Written here: the runtime's threads have nothing else to do.
            file.write_all(&chunk).map_err(Broken::Local)?;
            progress.have += chunk.len() as u64;
            seen(progress.have.saturating_sub(progress.furthest));
            progress.furthest = progress.furthest.max(progress.have);
        }
        if progress.have < size { Err(Broken::Remote(incomplete())) } else { Ok(()) }
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
