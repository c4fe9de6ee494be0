//! Format `folder`: which folders hold the images and masks of which split.

use super::files::SAME_STEM;
use super::params::{DatasetParams, ParamProblem, SplitFolders};
use crate::Split;
use std::path::Path;

/// Stands for the name of a split's folder in `images` and `masks`.
pub(super) const SPLIT: &str = "{split}";

/// A folder of images and that of their masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FolderPair {
    /// Inside the data set.
    pub(super) images: String,
    /// Inside the data set.
    pub(super) masks: String,
    /// The annotation file or files in the place of masks, inside the data set; may hold `{stem}`.
    pub(super) annotations: Option<String>,
    /// Their split; `None` if splits are drawn.
    pub(super) split: Option<SplitFolder>,
}

/// The folder of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SplitFolder {
    pub(super) split: Split,
    /// The name of the folder.
    pub(super) name: String,
    /// Whether `splits` gives this name. Then the folder must be there.
    pub(super) is_given: bool,
}

impl FolderPair {
    /// Whether there is a folder of images or masks, or of the split that should hold them.
    pub(super) fn is_there(&self, root: &Path) -> bool {
        let of_split = self
            .split
            .as_ref()
            .map(|split| &*split.name)
            .filter(|name| [&self.images, &self.masks].iter().any(|folder| folder.split('/').next() == Some(name)));
        of_split.into_iter().chain([&*self.images, &*self.masks]).any(|folder| root.join(folder).is_dir())
    }
}

/// Whether splits are drawn or listed, so that folders do not name them.
pub(super) fn is_drawn(params: &DatasetParams) -> bool {
    params.split.is_some() || params.test_images.is_some() || params.val_images.is_some()
}

/// All pairs of folders that `params` (with defaults) names.
pub(super) fn folder_pairs(params: &DatasetParams) -> Vec<FolderPair> {
    let images = params.images.as_deref().unwrap_or_default();
    let masks = params.masks.as_deref().unwrap_or_default();
    if is_drawn(params) {
        let annotations = params.annotations.clone();
        return vec![FolderPair { images: images.into(), masks: masks.into(), annotations, split: None }];
    }
    let pair_of = |split: Split| {
        let given = params.splits.as_ref().and_then(|splits| splits.name(split));
        let name = given.unwrap_or(split.name()).to_owned();
        FolderPair {
            images: filled_in(images, &name),
            masks: filled_in(masks, &name),
            annotations: params.annotations.as_ref().map(|pattern| pattern.replace(SPLIT, &name)),
            split: Some(SplitFolder { split, name, is_given: given.is_some() }),
        }
    };
    [Split::Train, Split::Val, Split::Test].map(pair_of).into()
}

/// The folder that `template` (`images` or `masks`) names for the split folder `name`.
pub(super) fn filled_in(template: &str, name: &str) -> String {
    if template.contains(SPLIT) { template.replace(SPLIT, name) } else { format!("{name}/{template}") }
}

/// Checks the parameters that name folders.
///
/// # Errors
/// Absolute and empty paths, `{split}` or `splits` with drawn splits, one folder for two purposes.
pub(super) fn check(params: &DatasetParams) -> Result<(), ParamProblem> {
    let splits = params.splits.clone().unwrap_or_default();
    let named = [
        ("images", params.images.as_deref()),
        ("masks", params.masks.as_deref()),
        ("unlabeled", params.unlabeled.as_deref()),
        ("splits.train", splits.train.as_deref()),
        ("splits.val", splits.val.as_deref()),
        ("splits.test", splits.test.as_deref()),
    ];
    let with_placeholders = [
        ("images", params.images.as_deref(), &[SPLIT][..]),
        ("masks", params.masks.as_deref(), &[SPLIT]),
        ("mask_pattern", params.mask_pattern.as_deref(), &[SAME_STEM]),
        ("annotations", params.annotations.as_deref(), &[SPLIT, SAME_STEM]),
    ];
    for (param, text, known) in with_placeholders.into_iter().filter_map(|(p, text, known)| Some((p, text?, known))) {
        if let Some(message) = unknown_placeholder(text, known) {
            return Err(ParamProblem::new(param, message));
        }
    }
    for (param, folder) in named.into_iter().filter_map(|(param, folder)| Some((param, folder?))) {
        if folder.is_empty() {
            return Err(ParamProblem::new(param, "is empty: for the folder of the data set itself write \".\""));
        }
        if Path::new(folder).is_absolute() {
            let message = "is an absolute path, and would tie results to this computer: give it relative to `path`";
            return Err(ParamProblem::new(param, message));
        }
        let may_have_split = matches!(param, "images" | "masks");
        if folder.contains(SPLIT) && !may_have_split {
            return Err(ParamProblem::new(param, format!("{SPLIT} has a meaning in `images` and `masks` only")));
        }
        if folder.contains(SPLIT) && is_drawn(params) {
            let message = format!("{SPLIT} names the folder of a split, but the splits are drawn or listed");
            return Err(ParamProblem::new(param, format!("{message}: leave out one of the two")));
        }
    }
    if params.splits.is_some() && is_drawn(params) {
        return Err(ParamProblem::new("splits", "names folders of splits, but the splits are drawn or listed"));
    }
    let pairs = folder_pairs(params);
    let names: Vec<&str> = pairs.iter().filter_map(|pair| Some(pair.split.as_ref()?.name.as_str())).collect();
    if let Some(twice) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        return Err(ParamProblem::new("splits", format!("\"{}\" is the folder of two splits", names[twice])));
    }
    let pattern = params.mask_pattern.as_deref().unwrap_or(SAME_STEM);
    if pattern == SAME_STEM && params.classes.is_some() && params.images == params.masks {
        let message = "is also the folder of the images: add `mask_pattern`, e.g. \"{stem}_mask\", to tell them apart";
        return Err(ParamProblem::new("masks", message));
    }
    Ok(())
}

/// What is wrong with the first part of `text` in braces that is none of `known`.
fn unknown_placeholder(text: &str, known: &[&str]) -> Option<String> {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}')?;
        let found = format!("{{{name}}}");
        if !known.contains(&&*found) {
            return Some(format!("unknown placeholder {found}; did you mean {}?", known.join(" or ")));
        }
        rest = after;
    }
    None
}

impl SplitFolders {
    /// The given folder of a split.
    fn name(&self, split: Split) -> Option<&str> {
        match split {
            Split::Train => self.train.as_deref(),
            Split::Val => self.val.as_deref(),
            Split::Test => self.test.as_deref(),
            Split::Unlabeled => None,
        }
    }
}
