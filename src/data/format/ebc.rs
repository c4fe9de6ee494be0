//! NASA's environmental-barrier-coating micrographs (Stuckner et al., npj Comput. Mater. 2022), one split folder as
//! downloaded: `train`, `val`, `test` and `train_annot`, `val_annot`, `test_annot`, a mask of the same stem for each
//! image. Masks are 8-bit grey: 0 background, 1 oxide, 2 crack.

use super::files::{below, images_in, pair};
use super::{Classes, Dataset, DatasetParams, Layout, ParamProblem, Placed};
use crate::data::{DataError, Split};
use std::path::{Path, PathBuf};

pub(super) struct Ebc;

const CURE: &str = "`path` must be one split as downloaded, with train, val, test and their _annot folders";

impl Dataset for Ebc {
    fn takes(&self) -> &'static [&'static str] {
        &["classes", "ignore_classes"]
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

    fn list(&self, _params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = Vec::new();
        for split in ["train", "val", "test"] {
            files.extend(images_in(root, split, CURE)?);
            files.extend(images_in(root, &format!("{split}_annot"), CURE)?);
        }
        Ok(files)
    }

    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let mut images = Vec::new();
        for split in [Split::Train, Split::Val, Split::Test] {
            let masks = below(names, &format!("{}_annot", split.name()));
            for (image, mask) in pair(root, &below(names, split.name()), &masks)? {
                let Some(mask) = mask else {
                    let problem = format!("has no mask of the same stem in {}_annot", split.name());
                    return Err(DataError::bad(&root.join(image), problem, "download the data set again"));
                };
                images.push(Placed { image: image.into(), mask: Some(mask.into()), split });
            }
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
            images,
        })
    }
}
