//! Texts about the images of a data set: how many there are, and how to get those that are missing.

use crate::data::{Manifest, Split};

/// ` (3 train, 0 val, 2 test, 4 unlabeled)`; empty if the manifest does not know of all images.
pub(super) fn counts(manifest: &Manifest) -> String {
    if manifest.is_part {
        return String::new();
    }
    let counts = Split::ALL.map(|split| format!("{} {}", manifest.entries(split).len(), split.name()));
    format!(" ({})", counts.join(", "))
}

/// How the data set `name` gets images of `split`: a clause that begins with a verb.
pub(super) fn cure(manifest: &Manifest, name: &str, split: Split) -> String {
    let word = split.name();
    if manifest.format == "synthesize" {
        return format!("set `{word} = 1` or more in the stage `{name}`");
    }
    match split {
        Split::Val | Split::Test => {
            format!("add `split = {{ {word} = 0.2 }}` or `{word}_images = […]` to the table of {name}")
        }
        Split::Train => format!("leave some images for training in the table of {name}"),
        Split::Unlabeled => format!("name a folder of such images with `unlabeled = …` in the table of {name}"),
    }
}
