//! Where things are in the remote.

use matssl_pipeline::cache::{Digest, Key};
use object_store::path::Path;

/// Version of the layout. A remote with another version is refused.
pub(crate) const VERSION: &str = "matssl-run shared cache 1";

/// Paths below the prefix of a remote.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    prefix: Path,
}

impl Layout {
    pub(crate) fn new(prefix: Path) -> Self {
        Layout { prefix }
    }

    pub(crate) fn version(&self) -> Path {
        self.prefix.clone().join("layout")
    }

    pub(crate) fn records(&self) -> Path {
        self.prefix.clone().join("records")
    }

    pub(crate) fn record(&self, key: Key) -> Path {
        self.records().join(format!("{key}.jsonl"))
    }

    pub(crate) fn objects(&self) -> Path {
        self.prefix.clone().join("objects")
    }

    pub(crate) fn object(&self, digest: Digest) -> Path {
        let hex = digest.to_string();
        self.objects().join(&hex[..2]).join(&hex[2..])
    }

    pub(crate) fn experiments(&self) -> Path {
        self.prefix.clone().join("experiments")
    }

    pub(crate) fn experiment(&self, name: &str) -> Path {
        self.experiments().join(name)
    }

    pub(crate) fn gc(&self) -> Path {
        self.prefix.clone().join("gc")
    }
}

/// The key in the name of a record's file.
pub(crate) fn key_of(record: &Path) -> Option<Key> {
    record.filename()?.strip_suffix(".jsonl")?.parse().ok().map(Key)
}

/// The hash in the path of an object's file.
pub(crate) fn digest_of(object: &Path) -> Option<Digest> {
    let parts: Vec<_> = object.parts().collect();
    let [.., shard, rest] = &parts[..] else { return None };
    format!("{}{}", shard.as_ref(), rest.as_ref()).parse().ok()
}
