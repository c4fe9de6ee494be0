//! The images that a model was trained on, with their masks.

use crate::data::{Entry, Manifest};
use std::sync::Arc;

/// The training images of a model.
pub(super) struct SeenImages {
    manifest: Arc<Manifest>,
    /// Their paths in the data set.
    names: Vec<String>,
}

impl SeenImages {
    /// The images `entries` of `manifest`.
    pub(super) fn of(manifest: &Arc<Manifest>, entries: &[&Entry]) -> Self {
        let names = entries.iter().map(|entry| entry.image.clone()).collect();
        SeenImages { manifest: manifest.clone(), names }
    }

    /// The first of the images `entries` of `manifest` that the data set of the training does not have: by name and content.
    pub(super) fn first_unknown<'m>(&self, manifest: &Arc<Manifest>, entries: &[&'m Entry]) -> Option<&'m str> {
        if Arc::ptr_eq(manifest, &self.manifest) {
            return None;
        }
        // Before a data set is made, its digests are empty.
        let is_same = |a: &String, b: &String| a == b || a.is_empty() || b.is_empty();
        let has = |entry: &Entry| {
            let mut known = self.manifest.images.iter();
            known.any(|known| known.image == entry.image && is_same(&known.image_digest, &entry.image_digest))
        };
        entries.iter().find(|entry| !has(entry)).map(|entry| entry.image.as_str())
    }

    /// The first of the images `entries` of `manifest` that is among them: by name in the same data set, by content in another one.
    pub(super) fn first_in<'m>(&self, manifest: &Arc<Manifest>, entries: &[&'m Entry]) -> Option<&'m str> {
        let is_seen = |entry: &Entry| self.names.contains(&entry.image);
        let found = if Arc::ptr_eq(manifest, &self.manifest) {
            entries.iter().find(|entry| is_seen(entry))
        } else {
            let seen = self.manifest.images.iter().filter(|entry| is_seen(entry)).map(|entry| &entry.image_digest);
            // Before a data set is made, its digests are empty.
            let digests: Vec<&String> = seen.filter(|digest| !digest.is_empty()).collect();
            entries.iter().find(|entry| digests.contains(&&entry.image_digest))
        };
        found.map(|entry| entry.image.as_str())
    }
}
