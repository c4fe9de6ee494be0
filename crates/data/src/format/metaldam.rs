//! MetalDAM (Luengo et al., *A tutorial on the segmentation of metallographic images*, Information Fusion 2022), as
//! downloaded: `images/*.jpg`, `labels/*.png` (values 0–4) and `Additive_unlabeled_publish/*.tif`.
//!
//! Images have an info band at the bottom, labels do not. An image is cut to its label's height from the top left. From images
//! without a label the last 65 rows are cut, which is the difference for labels of both sizes (1024×768 → 703, 1280×960 →
//! 895). In all 75 published images that were checked (42 and 33), the band begins below that: at row 718 and row 896. Only
//! the band is in colour.

use super::dataset::Dataset;
use super::files::{SAME_STEM, directly_in, images_in};
use super::layout::{Layout, LayoutImage};
use super::pairing::pair;
use super::params::{DatasetParams, ParamProblem, SplitParams};
use super::split;
use crate::{DataError, Mask, Micrograph, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) struct MetalDam;

/// Rows of the info band in images without a label.
const BAND: usize = 65;
const CLASSES: [&str; 5] = ["matrix", "austenite", "martensite/austenite", "precipitate", "defect"];
const CURE: &str = "`path` must be the folder MetalDAM, with images and labels";

impl Dataset for MetalDam {
    fn takes(&self) -> &'static [&'static str] {
        &["unlabeled", "ignore_classes", "split", "test_images", "val_images"]
    }

    fn fill(&self, params: &mut DatasetParams) {
        params.unlabeled.get_or_insert_with(|| "Additive_unlabeled_publish".into());
        // Most precipitates are not annotated; the authors leave the class out of the mean.
        params.ignore_classes.get_or_insert_with(|| vec![3]);
        if params.test_images.is_none() && params.val_images.is_none() {
            // 9 of 42 labelled images are test images, as in the paper, which has no validation images.
            params.split.get_or_insert(SplitParams { train: None, val: 4.0, test: 9.0, seed: 0 });
        }
    }

    fn check(&self, params: &DatasetParams) -> Result<(), ParamProblem> {
        params.check_ignored(CLASSES.len())
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = images_in(root, "images", CURE)?;
        files.extend(images_in(root, "labels", CURE)?);
        if let Some(folder) = params.unlabeled.as_deref().filter(|folder| !folder.is_empty()) {
            files.extend(images_in(root, folder, "download it too, or set `unlabeled = \"\"`")?);
        }
        Ok(files)
    }

    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let mut images = Vec::new();
        let pairs = pair(root, &directly_in(names, "images"), &directly_in(names, "labels"), SAME_STEM)?;
        if let Some((image, _)) = pairs.iter().find(|(_, mask)| mask.is_none()) {
            return Err(DataError::bad(
                &root.join(image),
                "has no label of the same stem in labels",
                "download it again",
            ));
        }
        let with_mask: Vec<&str> = pairs.iter().map(|(image, _)| *image).collect();
        for ((image, mask), split) in pairs.iter().zip(split::draw(params, root, &with_mask, None)?) {
            images.push(LayoutImage::new(image, *mask, split));
        }
        if let Some(folder) = params.unlabeled.as_deref().filter(|folder| !folder.is_empty()) {
            let listed = |image: &&str| LayoutImage::new(image, None, Split::Unlabeled);
            images.extend(directly_in(names, folder).iter().map(listed));
        }
        Ok(Layout {
            classes: CLASSES.map(Into::into).into(),
            ignore_classes: params.ignore_classes.clone().unwrap_or_default(),
            label_values: (0..CLASSES.len() as u8).map(|class| (class, class)).collect(),
            label_colors: BTreeMap::new(),
            other_color: None,
            images,
        })
    }

    fn band(&self) -> Option<usize> {
        Some(BAND)
    }

    fn crop(
        &self,
        _params: &DatasetParams,
        path: &Path,
        image: &Micrograph,
        mask: Option<&Mask>,
    ) -> Result<(usize, usize), DataError> {
        match mask {
            Some(mask) => Ok((image.width, mask.height.min(image.height))),
            None if image.height > BAND => Ok((image.width, image.height - BAND)),
            None => {
                let problem = format!("{}×{} is too small for a MetalDAM image", image.width, image.height);
                Err(DataError::bad(path, problem, "download it again"))
            }
        }
    }
}
