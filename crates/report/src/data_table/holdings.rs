//! The images of a row.

use matssl_data::{Manifest, Split};
use std::collections::BTreeMap;

/// The name of a class, and whether it is left out of means.
pub type Class = (String, bool);

/// The images of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdings {
    /// Number of images of each split.
    pub splits: BTreeMap<Split, usize>,
    /// (width, height) in pixels, with the number of images of that size; empty if sizes are not known.
    pub sizes: BTreeMap<(usize, usize), usize>,
    /// By label; empty without masks.
    pub classes: Vec<Class>,
}

impl Holdings {
    /// The images of `splits` in `manifest`.
    pub fn of(manifest: &Manifest, splits: &[Split]) -> Holdings {
        let mut holdings = Holdings::default();
        for entry in manifest.images.iter().filter(|entry| splits.contains(&entry.split)) {
            *holdings.splits.entry(entry.split).or_default() += 1;
            *holdings.sizes.entry((entry.width, entry.height)).or_default() += 1;
        }
        let ignored = |class: usize| manifest.ignore_classes.iter().any(|&ignored| usize::from(ignored) == class);
        let classes = manifest.classes.iter().enumerate();
        holdings.classes = classes.map(|(class, name)| (name.clone(), ignored(class))).collect();
        holdings
    }

    /// Adds the images of another data set.
    pub fn add(&mut self, other: Holdings) {
        for (split, images) in other.splits {
            *self.splits.entry(split).or_default() += images;
        }
        for (size, images) in other.sizes {
            *self.sizes.entry(size).or_default() += images;
        }
        for class in other.classes {
            if !self.classes.contains(&class) {
                self.classes.push(class);
            }
        }
    }
}
