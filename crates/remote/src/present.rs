//! Which objects the remote has, by one list in the place of a question for each.

use crate::layout::digest_of;
use crate::shared_cache::SharedCache;
use futures_util::TryStreamExt as _;
use matssl_pipeline::cache::{Digest, Output};
use object_store::ObjectStore as _;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Fewer objects are asked for one by one.
const FEW: usize = 64;
/// A longer list is given up, so that a remote with millions of objects costs a few requests: so many entries, and so many more for
/// each object that is wanted.
const ENTRIES: usize = 1000;
const ENTRIES_EACH: usize = 4;

/// The objects of a remote with their sizes in bytes, as a list had them, and what was sent since.
pub(crate) struct Present(Mutex<HashMap<Digest, u64>>);

impl Present {
    fn sizes(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the object is there with the right size.
    pub(crate) fn has(&self, output: &Output) -> bool {
        self.sizes().get(&output.digest) == Some(&output.size)
    }

    /// Notes that the object was sent.
    pub(crate) fn add(&self, output: &Output) {
        self.sizes().insert(output.digest, output.size);
    }
}

impl SharedCache {
    /// Lists the objects, if that is quicker than to ask for `wanted` of them one by one. `None` if it is not, or fails.
    pub(crate) fn present(&self, wanted: usize) -> Option<Present> {
        if wanted < FEW {
            return None;
        }
        let (folder, most) = (self.layout.objects(), ENTRIES + ENTRIES_EACH * wanted);
        let list = async || {
            let (mut files, mut sizes) = (self.store.list(Some(&folder)), HashMap::new());
            while let Some(file) = files.try_next().await? {
                if sizes.len() == most {
                    return Ok(None);
                }
                sizes.extend(digest_of(&file.location).map(|digest| (digest, file.size)));
            }
            Ok(Some(sizes))
        };
        let sizes = self.runtime.block_on(self.patiently(list)).ok().flatten()?;
        Some(Present(Mutex::new(sizes)))
    }
}
