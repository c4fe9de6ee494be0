//! NASA's environmental-barrier-coating micrographs (Stuckner et al., npj Comput. Mater. 2022), one split folder as
//! downloaded: `train`, `val`, `test` and `train_annot`, `val_annot`, `test_annot`, a mask of the same stem for each
//! image. Masks are 8-bit grey: 0 background, 1 oxide, 2 crack.
//!
//! The folders *are* the splits. EBC-1 and EBC-2 have images of the specimen 050317#3 in both train and test; EBC-3 tests
//! on 050317#3 alone and trains without it.
//!
//! The MatSSL authors' copies (`train/inputs`, `train/targets`, png) are read, too. Their copy of EBC-3 has 15, 3 and 6
//! images, with the same names as NASA's. The paper's Table 3 counts 1, 3 and 3: those of CS-UNet's one-shot experiment
//! (`preset = "oneshot"`), which are other images.
//!
//! NASA scores the window `{ x = 256, y = 356, width = 512, height = 512 }` of each 1024×1024 image for validation and test, and
//! trains on random crops of whole images (its notebook for EBC). That is the data set's `window`.

use super::dataset::Dataset;
use super::ebc_preset::EbcPreset;
use super::files::{SAME_STEM, directly_in, images_in};
use super::layout::{Layout, LayoutImage};
use super::pairing::pair;
use super::params::{Classes, DatasetParams, ParamProblem};
use crate::stem::stem;
use crate::{DataError, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) struct Ebc;

const CURE: &str = "`path` must be one split as downloaded, with train, val, test and their _annot folders";

/// The folders of images and masks of a split: as published, and in the copies of the MatSSL authors.
fn folders(split: &str) -> [(String, String); 2] {
    [(split.into(), format!("{split}_annot")), (format!("{split}/inputs"), format!("{split}/targets"))]
}

impl Dataset for Ebc {
    fn takes(&self) -> &'static [&'static str] {
        &["classes", "ignore_classes", "preset"]
    }

    fn fill(&self, params: &mut DatasetParams) {
        params.classes.get_or_insert_with(|| Classes::Scheme("three".into()));
    }

    fn check(&self, params: &DatasetParams) -> Result<(), ParamProblem> {
        let count = match &params.classes {
            Some(Classes::Scheme(scheme)) if scheme == "three" => 3,
            Some(Classes::Scheme(scheme)) if scheme == "oxide" => 2,
            _ => return Err(ParamProblem::new("classes", "format `ebc` takes \"three\" or \"oxide\"")),
        };
        params.check_ignored(count)
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = Vec::new();
        for split in ["train", "val", "test"] {
            let [published, authors] = folders(split);
            let (images, masks) = if root.join(&authors.0).is_dir() { authors } else { published };
            let mut of_split = images_in(root, &images, CURE)?;
            of_split.extend(images_in(root, &masks, CURE)?);
            if split == "train" && params.preset == Some(EbcPreset::Oneshot) {
                of_split.retain(|(name, _)| stem(name) == EbcPreset::ONE);
            }
            files.extend(of_split);
        }
        Ok(files)
    }

    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let mut images = Vec::new();
        for split in [Split::Train, Split::Val, Split::Test] {
            let files_in = |(images, masks)| [directly_in(names, images), directly_in(names, masks)];
            let [published, authors] = folders(split.name());
            let mut found = [files_in((&authors.0, &authors.1)), files_in((&published.0, &published.1))].into_iter();
            // The file list holds only one of the two.
            let [images_here, masks] = found.find(|[images, _]| !images.is_empty()).unwrap_or_default();
            let of_masks = masks.first().map_or(&*published.1, |mask| mask.rsplit_once('/').map_or(".", |(at, _)| at));
            for (image, mask) in pair(root, &images_here, &masks, SAME_STEM)? {
                let Some(mask) = mask else {
                    let problem = format!("has no mask of the same stem in {of_masks}");
                    return Err(DataError::bad(&root.join(image), problem, "download the data set again"));
                };
                images.push(LayoutImage::new(image, Some(mask), split));
            }
        }
        if let Some(preset) = params.preset {
            check_counts(preset, root, &images)?;
        }
        let oxide = params.classes == Some(Classes::Scheme("oxide".into()));
        let (classes, values): (&[&str], [(u8, u8); 3]) = if oxide {
            (&["rest", "oxide"], [(0, 0), (1, 1), (2, 1)])
        } else {
            (&["background", "oxide", "crack"], [(0, 0), (1, 1), (2, 2)])
        };
        Ok(Layout {
            classes: classes.iter().map(|&class| class.into()).collect(),
            ignore_classes: params.ignore_classes.clone().unwrap_or_default(),
            label_values: values.into(),
            label_colors: BTreeMap::new(),
            other_color: None,
            images,
        })
    }
}

/// Checks that `images` are as many as the preset has.
///
/// # Errors
/// [`DataError::Bad`] about the folder `root` with both counts.
fn check_counts(preset: EbcPreset, root: &Path, images: &[LayoutImage]) -> Result<(), DataError> {
    let found = |split: Split| images.iter().filter(|image| image.split == split).count();
    let expected = preset.counts();
    if expected.iter().all(|&(split, count)| found(split) == count) {
        return Ok(());
    }
    let (word, folder) = (preset.word(), preset.folder());
    let problem = if preset == EbcPreset::Oneshot && found(Split::Train) == 0 {
        format!("has no training image {}, which `preset = \"{word}\"` trains on", EbcPreset::ONE)
    } else {
        let in_words = |count: &dyn Fn((Split, usize)) -> usize| {
            let [train, val, test] = expected.map(count);
            format!("{train}, {val} and {test}")
        };
        format!(
            "has {} images for training, validation and test, `preset = \"{word}\"` {}",
            in_words(&|(split, _)| found(split)),
            in_words(&|(_, count)| count)
        )
    };
    let cure = format!("set `path` to {folder} as downloaded, or leave `preset` out");
    Err(DataError::bad(root, problem, cure))
}
