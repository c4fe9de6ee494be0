//! UHCS, the ultrahigh carbon steel micrographs (DeCost et al., *UHCSDB*, Integrating Materials and Manufacturing
//! Innovation 2017; NIST, hdl 11256/940), as downloaded: one flat folder of mixed png, tif and jpg (`micrographs`),
//! and `microstructures.sqlite` beside it. All images are unlabelled.
//!
//! The database (magnification, anneal, constituent) is not read: pretraining needs nothing from it, and can also use images
//! that it does not list.
//!
//! The info band: of an image of 645×522 the upper 484 rows are used, one of 645×484 has no band. Images of other sizes are
//! refused, unless `band` says how many rows to cut from the bottom of each, or `exclude` names them. (The database lists 961
//! micrographs, the MatSSL paper counts 956.)

use super::dataset::Dataset;
use super::files::images_in;
use super::layout::{Layout, LayoutImage};
use super::params::{DatasetParams, ParamProblem};
use super::split::is_named;
use crate::{DataError, Mask, Micrograph, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) struct Uhcs;

const FOLDERS: [&str; 3] = ["micrographs", "images", "."];
const CURE: &str = "`path` must hold the images, or a folder `micrographs` with them";
const WIDTH: usize = 645;
const WITH_BAND: usize = 522;
const WITHOUT_BAND: usize = 484;

impl Dataset for Uhcs {
    fn takes(&self) -> &'static [&'static str] {
        &["images", "band", "exclude"]
    }

    fn fill(&self, _params: &mut DatasetParams) {}

    fn check(&self, _params: &DatasetParams) -> Result<(), ParamProblem> {
        Ok(())
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = match &params.images {
            Some(folder) => images_in(root, folder, "correct `images`")?,
            None => {
                let folder = FOLDERS.iter().find(|folder| images_in(root, folder, CURE).is_ok_and(|f| !f.is_empty()));
                images_in(root, folder.unwrap_or(&"."), CURE)?
            }
        };
        for wanted in params.exclude.iter().flatten() {
            let before = files.len();
            files.retain(|(name, _)| !is_named(name, wanted));
            if files.len() == before {
                let problem = format!("has no image named {wanted}, which `exclude` names");
                return Err(DataError::bad(root, problem, "correct `exclude`"));
            }
        }
        Ok(files)
    }

    fn layout(&self, _params: &DatasetParams, _root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let listed = |image: &&str| LayoutImage::new(image, None, Split::Unlabeled);
        Ok(Layout {
            classes: Vec::new(),
            ignore_classes: Vec::new(),
            label_values: BTreeMap::new(),
            label_colors: BTreeMap::new(),
            other_color: None,
            images: names.iter().map(listed).collect(),
        })
    }

    fn crop(
        &self,
        params: &DatasetParams,
        path: &Path,
        image: &Micrograph,
        _mask: Option<&Mask>,
    ) -> Result<(usize, usize), DataError> {
        match (image.width, image.height) {
            (WIDTH, WITH_BAND | WITHOUT_BAND) => Ok((WIDTH, WITHOUT_BAND)),
            (width, height) => match params.band {
                Some(band) if band < height => Ok((width, height - band)),
                _ => Err(DataError::bad(
                    path,
                    format!("is {width}×{height}, not {WIDTH}×{WITH_BAND} nor {WIDTH}×{WITHOUT_BAND}"),
                    "set `band` to the rows of the info band in such images, or name it in `exclude`",
                )),
            },
        }
    }
}
