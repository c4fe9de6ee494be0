//! Where the files of an image lie.

use super::OutputOptions;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path inside the folder of the results, with `/`.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// blake3 of its content.
    pub digest: String,
}

impl OutputFile {
    /// The file `path` inside `root`, as it is now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(root: &Path, path: &str) -> Result<Self> {
        let file = root.join(path);
        let mut hasher = blake3::Hasher::new();
        hasher.update_mmap(&file).with_context(|| format!("{}: cannot be read", file.display()))?;
        Ok(OutputFile { path: path.into(), bytes: hasher.count(), digest: hasher.finalize().to_hex().to_string() })
    }

    /// Whether it is still there, unchanged.
    pub fn is_whole(&self, root: &Path) -> bool {
        let length = std::fs::metadata(root.join(&self.path)).map(|metadata| metadata.len());
        length.is_ok_and(|length| length == self.bytes)
            && OutputFile::of(root, &self.path).is_ok_and(|now| now.digest == self.digest)
    }
}

/// The paths of the files of an image, inside the folder of the results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFiles {
    /// The mask.
    pub mask: String,
    /// The overlay with its legend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// A small overlay for the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// The probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<String>,
    /// Entropy of the mean probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<String>,
    /// Disagreement of several models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<String>,
    /// The objects, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<String>,
}

impl ImageFiles {
    /// Those of the image whose files are called `stem`, predicted by `models` models.
    pub fn new(stem: &str, options: &OutputOptions, models: usize) -> Self {
        let file = |wanted: bool, folder: &str, extension: &str| wanted.then(|| format!("{folder}/{stem}.{extension}"));
        ImageFiles {
            mask: format!("masks/{stem}.{}", options.format.extension()),
            overlay: file(options.overlay, "overlays", "jpg"),
            thumbnail: file(options.overlay, "thumbnails", "jpg"),
            probabilities: options.probabilities.map(|format| format!("probabilities/{stem}.{}", format.extension())),
            uncertainty: file(options.uncertainty, "uncertainty", "png"),
            disagreement: file(options.uncertainty && models > 1, "disagreement", "png"),
            objects: file(!options.objects.is_empty(), "objects", "csv"),
        }
    }

    /// All paths.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let others =
            [&self.overlay, &self.thumbnail, &self.probabilities, &self.uncertainty, &self.disagreement, &self.objects];
        std::iter::once(self.mask.as_str()).chain(others.into_iter().flatten().map(String::as_str))
    }

    /// What the files of each image are called: its path without the extension or, where images share that (`a/1.png` and
    /// `a/1.tif`, also in other letter case), with it. No two are the same.
    pub fn stems(images: &[&str]) -> Vec<String> {
        let bare = |image: &str| match image.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() && !stem.ends_with('/') => stem.to_owned(),
            _ => image.to_owned(),
        };
        let all: Vec<String> = images.iter().map(|image| bare(image).to_lowercase()).collect();
        let mut counts = std::collections::BTreeMap::new();
        all.iter().for_each(|stem| *counts.entry(stem.as_str()).or_insert(0usize) += 1);
        let mut taken = BTreeSet::new();
        let mut stem = |(image, lower): (&&str, &String)| {
            let mut name = if counts[lower.as_str()] > 1 { (*image).to_owned() } else { bare(image) };
            while !taken.insert(name.to_lowercase()) {
                name.push('_');
            }
            name
        };
        images.iter().zip(&all).map(&mut stem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_images_share_a_file() {
        let of = |images: &[&str]| ImageFiles::stems(images);
        assert_eq!(of(&["a/1.png", "b/1.png", "2.tif"]), ["a/1", "b/1", "2"]);
        assert_eq!(of(&["1.png", "1.tif", "x.y.tif"]), ["1.png", "1.tif", "x.y"]);
        assert_eq!(of(&["A.png", "a.tif"]), ["A.png", "a.tif"]);
        // The name of one is what another's becomes.
        assert_eq!(of(&["1.png", "1.png.bmp", "1.tif"]), ["1.png", "1.png_", "1.tif"]);
        assert_eq!(of(&["a/.png", "b"]), ["a/.png", "b"]);
    }
}
