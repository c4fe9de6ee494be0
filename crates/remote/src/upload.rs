//! Brings one object from disk to the remote, in parts if it is large.

use crate::error::RemoteError;
use crate::shared_cache::SharedCache;
use matssl_pipeline::cache::{Digest, Output, Store};
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, WriteMultipart};
use std::fs::File;
use std::io::Read as _;

/// Size of a part, and of the largest object that goes at once.
const PART: u64 = 8 << 20;
/// Stores take 10,000 parts at most.
const MOST_PARTS: u64 = 9000;
/// Parts of one object on their way at a time.
const PARTS_AT_A_TIME: usize = 2;

/// Why an object was not uploaded.
#[derive(Debug)]
pub(crate) enum NotUploaded {
    /// The user interrupted.
    Stopped,
    Remote(Error),
    Here(RemoteError),
}

impl From<Error> for NotUploaded {
    fn from(error: Error) -> Self {
        NotUploaded::Remote(error)
    }
}

impl SharedCache {
    /// Whether the object is there with the right size.
    pub(crate) async fn has_object(&self, output: &Output) -> object_store::Result<bool> {
        match self.store.head(&self.layout.object(output.digest)).await {
            Ok(meta) => Ok(meta.size == output.size),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Uploads the object of `output`, after its content on disk was held to its hash.
    pub(crate) async fn upload(
        &self,
        store: &Store,
        output: &Output,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), NotUploaded> {
        let file = store.object(output.digest);
        let here = |error: std::io::Error| {
            NotUploaded::Here(RemoteError::Local(anyhow::anyhow!("cannot read {}: {error}", file.display())))
        };
        let check = |digest: Digest| match digest == output.digest {
            true => Ok(()),
            false => Err(NotUploaded::Here(RemoteError::Damaged(format!(
                "{} is damaged in the cache on this machine ({}); `matssl-run cache verify` sets damaged files aside",
                output.path,
                file.display()
            )))),
        };
        let path = self.layout.object(output.digest);
        if std::fs::metadata(&file).map_err(here)?.len() <= PART {
            let bytes = std::fs::read(&file).map_err(here)?;
            check(Digest::of(&bytes))?;
            self.uploads.put_opts(&path, bytes.into(), PutMode::Overwrite.into()).await?;
            return Ok(());
        }
        let (digest, size) = Digest::of_file(&file).map_err(here)?;
        check(digest)?;
        let mut reader = File::open(&file).map_err(here)?;
        let part = PART.max(size / MOST_PARTS);
        let mut upload = WriteMultipart::new_with_chunk_size(self.uploads.put_multipart(&path).await?, part as usize);
        match send(&mut upload, &mut reader, is_stopped).await {
            Ok(()) => Ok(upload.finish().await.map(drop)?),
            Err(unsent) => {
                // Else the store would keep the parts, and some ask money for them.
                let _ = upload.abort().await;
                Err(match unsent {
                    Unsent::Stopped => NotUploaded::Stopped,
                    Unsent::Remote(error) => NotUploaded::Remote(error),
                    Unsent::Unreadable(error) => here(error),
                })
            }
        }
    }
}

/// Why the parts of an object were not sent.
enum Unsent {
    Stopped,
    Remote(Error),
    Unreadable(std::io::Error),
}

/// Sends what `reader` has, a few parts at a time.
async fn send(
    upload: &mut WriteMultipart,
    reader: &mut File,
    is_stopped: &(dyn Fn() -> bool + Sync),
) -> Result<(), Unsent> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        if is_stopped() {
            return Err(Unsent::Stopped);
        }
        upload.wait_for_capacity(PARTS_AT_A_TIME).await.map_err(Unsent::Remote)?;
        match reader.read(&mut buffer).map_err(Unsent::Unreadable)? {
            0 => return Ok(()),
            count => upload.write(&buffer[..count]),
        }
    }
}
