//! Aachen–Heerlen (Iren et al., *Aachen-Heerlen annotated steel microstructure dataset*, Scientific Data 2021), as
//! downloaded: a folder of SEM images (`PNG`, 1024×768, nothing to cut off), and beside it
//! `nature_scidata_heerlen_aachen_steel_annotations_polygon.csv` and `nature_scidata_steel_metadata.csv`.
//!
//! There are no masks, but 8,909 polygons around martensite/austenite islands in 1,705 images. They are drawn each time the
//! data set is read, by the rule in `rasterize.rs`: 0 rest, 1 object, as the MatSSL authors do it (`mask > 0`). The mask
//! file of an entry is the table of polygons.
//!
//! The paper splits the 1,705 images into 1,403 and 302. The metadata (type, temperature, direction, distance,
//! magnification, angle) does not list them, and neither types, directions nor angles add up to 302. So the split is drawn
//! from a seed, or given by lists. Images in the folder without a polygon (the metadata lists 2,580) count as unlabelled.
//!
//! `group` keeps the images of a specimen in one split, by columns of the metadata: `group =
//! "type+temperature+direction"` gives 24 specimens.

use super::dataset::Dataset;
use super::files::images_in;
use super::layout::{Layout, LayoutImage};
use super::params::{DatasetParams, ParamProblem, SplitParams};
use super::specimens::{self, Specimens};
use super::split;
use crate::polygons::Polygons;
use crate::stem::stem;
use crate::{DataError, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) struct Aachen;

pub(super) const POLYGONS: &str = "nature_scidata_heerlen_aachen_steel_annotations_polygon.csv";
pub(super) const METADATA: &str = "nature_scidata_steel_metadata.csv";
const CLASSES: [&str; 2] = ["rest", "object"];
/// Folders that may hold the images; the first is that of the published archive.
const FOLDERS: [&str; 3] = ["PNG", "images", "."];
const MISSING: &str = "the table has annotations for it: download the images again";
const CURE: &str = "`path` must hold the two published tables, and the images in PNG, images or beside the tables";

impl Dataset for Aachen {
    fn takes(&self) -> &'static [&'static str] {
        &["images", "ignore_classes", "split", "test_images", "val_images", "group"]
    }

    fn fill(&self, params: &mut DatasetParams) {
        if params.test_images.is_none() && params.val_images.is_none() {
            // 302 of 1,705 images are test images, as in the paper, which has no validation images.
            params.split.get_or_insert(SplitParams { train: None, val: 0.0, test: 302.0, seed: 0 });
        }
    }

    fn check(&self, params: &DatasetParams) -> Result<(), ParamProblem> {
        params.check_ignored(CLASSES.len())
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let table = |name: &str| match root.join(name) {
            path if path.is_file() => Ok((name.to_owned(), path)),
            path => Err(DataError::not_there(&path, CURE)),
        };
        let mut files = match &params.images {
            Some(folder) => images_in(root, folder, "correct `images`")?,
            None => {
                let folder = FOLDERS.iter().find(|folder| images_in(root, folder, CURE).is_ok_and(|f| !f.is_empty()));
                images_in(root, folder.unwrap_or(&FOLDERS[0]), CURE)?
            }
        };
        files.push(table(POLYGONS)?);
        if params.group.is_some() {
            files.push(table(METADATA)?);
        }
        Ok(files)
    }

    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let path = root.join(POLYGONS);
        let polygons = Polygons::parse(&path, &std::fs::read(&path).map_err(DataError::reading(&path))?)?;
        let mut by_stem = BTreeMap::new();
        for name in names.iter().filter(|name| !name.ends_with(".csv")) {
            if let Some(other) = by_stem.insert(stem(name), *name) {
                let problem = format!("has the same stem as {other}");
                return Err(DataError::bad(&root.join(name), problem, "keep one of the two"));
            }
        }
        let folder = by_stem.values().next().and_then(|name| name.rsplit_once('/')).map_or(".", |(folder, _)| folder);
        let mut annotated = Vec::new();
        let mut missing = Vec::new();
        for stem in polygons.stems() {
            match by_stem.remove(stem) {
                Some(name) => annotated.push(name),
                None => missing.push(DataError::not_there(&root.join(folder).join(format!("{stem}.png")), MISSING)),
            }
        }
        DataError::check_all(missing)?;
        let specimens = match &params.group {
            Some(columns) => Some(Specimens::by_name(read_metadata(root, columns)?, &root.join(METADATA))),
            None => None,
        };
        let splits = split::draw(params, root, &annotated, specimens.as_ref())?;
        let listed = |(image, split): (&str, Split)| {
            LayoutImage::new(image, (split != Split::Unlabeled).then_some(POLYGONS), split)
        };
        let others = by_stem.into_values().map(|image| (image, Split::Unlabeled));
        let images = annotated.into_iter().zip(splits).chain(others).map(listed).collect();
        Ok(Layout {
            classes: CLASSES.map(Into::into).into(),
            ignore_classes: params.ignore_classes.clone().unwrap_or_default(),
            label_values: [(0, 0), (1, 1)].into(),
            label_colors: BTreeMap::new(),
            other_color: None,
            images: specimens::keep_apart(root, specimens.as_ref(), images)?,
        })
    }
}

/// The specimen of each image, by stem: the values of `columns` (names joined by `+`) of the metadata, joined likewise.
fn read_metadata(root: &Path, columns: &str) -> Result<BTreeMap<String, String>, DataError> {
    let path = root.join(METADATA);
    let unreadable =
        |error: csv::Error| DataError::bad(&path, format!("cannot be read ({error})"), "download it again");
    let mut table = csv::Reader::from_path(&path).map_err(unreadable)?;
    let header = table.headers().map_err(unreadable)?.clone();
    let index_of = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| {
            let known: Vec<&str> = header.iter().skip(1).collect();
            let problem = format!("has no column `{name}`, which `group` names");
            DataError::bad(&path, problem, format!("join some of {} by +", known.join(", ")))
        })
    };
    let image = index_of("image_url")?;
    let columns: Vec<usize> = columns.split('+').map(|name| index_of(name.trim())).collect::<Result<_, _>>()?;
    let mut specimens = BTreeMap::new();
    for record in table.records() {
        let record = record.map_err(unreadable)?;
        let values: Vec<&str> = columns.iter().map(|&column| record.get(column).unwrap_or_default()).collect();
        specimens.insert(stem(record.get(image).unwrap_or_default()).to_owned(), values.join("+"));
    }
    Ok(specimens)
}
