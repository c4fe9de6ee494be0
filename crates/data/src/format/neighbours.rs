//! Format `folder`: folders under other names beside those that are missing, so that an error can say the cure.

use super::files::files_in;
use super::folder_pairs::{FolderPair, SPLIT, SplitFolder, filled_in, folder_pairs, is_drawn};
use super::params::DatasetParams;
use crate::stem::{composed, stem};
use crate::{DataError, Split};
use std::collections::BTreeSet;
use std::path::Path;

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Images,
    Masks,
}

/// Names that people give to folders of images, in lower case without separators.
const IMAGES: [&str; 17] = [
    "image",
    "images",
    "img",
    "imgs",
    "im",
    "input",
    "inputs",
    "micrograph",
    "micrographs",
    "picture",
    "pictures",
    "photos",
    "raw",
    "data",
    "jpegimages",
    "sem",
    "source",
];
/// Names that people give to folders of masks, likewise.
const MASKS: [&str; 29] = [
    "mask",
    "masks",
    "label",
    "labels",
    "annot",
    "annots",
    "annotation",
    "annotations",
    "gt",
    "gts",
    "groundtruth",
    "segmentation",
    "segmentations",
    "segmentationclass",
    "segmentationmasks",
    "segmentationmaps",
    "seg",
    "segs",
    "target",
    "targets",
    "output",
    "outputs",
    "truth",
    "manual",
    "labelmaps",
    "labelimages",
    "classes",
    "annotated",
    "labelled",
];
/// What people add to the name of an image to name its mask.
const ENDINGS: [&str; 10] =
    ["_mask", "_label", "_seg", "_gt", "_labels", "_masks", "_annot", "-mask", "_segmentation", "_m"];
/// Names that people give to folders of splits, likewise.
const TRAIN: [&str; 8] = ["train", "training", "trn", "tr", "trainset", "traindata", "trainingset", "trainingdata"];
const VAL: [&str; 14] = [
    "val",
    "vals",
    "valid",
    "validate",
    "validation",
    "validations",
    "dev",
    "devset",
    "eval",
    "vali",
    "valset",
    "valdata",
    "validationset",
    "validationdata",
];
const TEST: [&str; 15] = [
    "test",
    "tests",
    "testing",
    "tst",
    "ts",
    "holdout",
    "holdouts",
    "heldout",
    "holdoutset",
    "testset",
    "testsets",
    "testdata",
    "testingset",
    "testingdata",
    "evaluation",
];

impl Role {
    fn words(self) -> &'static [&'static str] {
        match self {
            Role::Images => &IMAGES,
            Role::Masks => &MASKS,
        }
    }

    fn param(self) -> &'static str {
        match self {
            Role::Images => "images",
            Role::Masks => "masks",
        }
    }

    fn folder(self, pair: &FolderPair) -> &str {
        match self {
            Role::Images => &pair.images,
            Role::Masks => &pair.masks,
        }
    }

    fn value(self, params: &DatasetParams) -> &str {
        match self {
            Role::Images => params.images.as_deref().unwrap_or_default(),
            Role::Masks => params.masks.as_deref().unwrap_or_default(),
        }
    }
}

fn words_of(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &TRAIN,
        Split::Val => &VAL,
        Split::Test => &TEST,
        Split::Unlabeled => &[],
    }
}

/// Without upper case and separators, to compare with the words above.
fn bare(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The cure for the missing folder `role` of `pair`, if there is a folder that could be meant.
pub(super) fn cure(params: &DatasetParams, root: &Path, pair: &FolderPair) -> Option<String> {
    if let Some(cure) = [&pair.images, &pair.masks].iter().find_map(|folder| composed_otherwise(root, folder)) {
        return Some(cure);
    }
    if let Some((found, name, split)) = split_under_another_name(root, pair) {
        let splits = format!("add `splits = {{ {split} = \"{name}\" }}`");
        let named = in_split(params, root, pair, &name);
        return Some(match named.as_deref() {
            Some([_, ..]) => {
                let (folders, keys): (Vec<String>, Vec<String>) = named.into_iter().flatten().unzip();
                format!("found {}: {splits}, {}", folders.join(" and "), keys.join(" and "))
            }
            _ => format!("found `{found}`: {splits}"),
        });
    }
    let missing: Vec<Role> =
        [Role::Images, Role::Masks].into_iter().filter(|role| !root.join(role.folder(pair)).is_dir()).collect();
    let found: Vec<(Role, String)> =
        missing.iter().filter_map(|&role| Some((role, find(params, root, pair, role)?))).collect();
    if found.len() == missing.len() {
        let folders: Vec<String> = found.iter().map(|(_, folder)| format!("`{folder}`")).collect();
        let is_default = found.iter().all(|(role, _)| role.value(params) == role.param());
        let key =
            |(role, folder): &(Role, String)| Some(format!("`{} = \"{}\"`", role.param(), value_for(folder, pair)?));
        if let Some(keys) = found.iter().map(key).collect::<Option<Vec<String>>>() {
            let verb = if is_default { "add" } else { "set" };
            return Some(format!("found {}: {verb} {}", folders.join(" and "), keys.join(" and ")));
        }
    }
    beside_images(params, root, pair).or_else(|| without_splits(params, root, pair))
}

/// Masks in the folder of their images, named after them by one of the usual endings.
fn beside_images(params: &DatasetParams, root: &Path, pair: &FolderPair) -> Option<String> {
    let files = files_in(root, &pair.images, String::new).ok()?;
    let stems: BTreeSet<&str> = files.images.iter().map(|(name, _)| stem(name)).collect();
    let has_masks =
        |end: &&&str| stems.iter().any(|stem| stem.strip_suffix(**end).is_some_and(|image| stems.contains(image)));
    let end = ENDINGS.iter().find(has_masks)?;
    let images = params.images.as_deref()?;
    Some(format!(
        "found masks named {{stem}}{end} in `{}`: add `masks = \"{images}\"` and `mask_pattern = \"{{stem}}{end}\"`",
        pair.images
    ))
}

/// Images and masks in the data set's folder itself, of which the splits could be drawn; or folders of splits where splits
/// are drawn.
fn without_splits(params: &DatasetParams, root: &Path, pair: &FolderPair) -> Option<String> {
    if is_drawn(params) {
        let value = params.images.as_deref()?;
        let with_splits = root.join(filled_in(value, "train")).is_dir();
        return with_splits.then(|| {
            format!(
                "found `{}`: leave out what draws or lists the splits, or correct `images`",
                filled_in(value, "train")
            )
        });
    }
    let one = |role: Role| {
        let is_meant = |name: &&String| role.words().contains(&&*bare(name));
        folders_in(root, "").iter().find(is_meant).cloned()
    };
    let (images, masks) = (one(Role::Images)?, one(Role::Masks)?);
    if root.join(&pair.images).is_dir() || !holds_images(root, &images) {
        return None;
    }
    let mut keys = String::new();
    for (param, folder) in [("images", &images), ("masks", &masks)] {
        if param != folder {
            keys += &format!("`{param} = \"{folder}\"`, ");
        }
    }
    Some(format!(
        "found `{images}` and `{masks}`: add {keys}`split = {{ val = 0.2, test = 0.2 }}`, which draws the splits"
    ))
}

/// The folder of the split under another name: its path, its name and the split.
fn split_under_another_name(root: &Path, pair: &FolderPair) -> Option<(String, String, &'static str)> {
    let own = pair.split.as_ref()?;
    let parts: Vec<&str> = pair.images.split('/').collect();
    let at = parts.iter().position(|part| *part == own.name)?;
    let parent = parts[..at].join("/");
    if root.join(parts[..=at].join("/")).is_dir() {
        return None;
    }
    let words = words_of(own.split);
    let found =
        folders_in(root, &parent).into_iter().find(|name| words.contains(&&*bare(name)) && *name != own.name)?;
    let found_path = join(&parent, &found);
    // Images lie in it, or in a folder of the name that `images` gives, in upper or lower case, or of one of the usual ones.
    let rest = parts[at + 1..].join("/");
    let is_meant = |name: &&String| name.to_lowercase() == rest.to_lowercase() || IMAGES.contains(&&*bare(name));
    let folders = folders_in(root, &found_path);
    let inside = [rest.clone()].into_iter().chain(folders.iter().filter(is_meant).cloned()).collect::<Vec<_>>();
    let holds = inside.iter().any(|inside| holds_images(root, &join_if(&found_path, inside)));
    (holds || holds_images(root, &found_path)).then(|| (found_path, found, own.split.name()))
}

/// In the folder `name` of the split of `pair`, those folders of images and masks that have other names than `params` gives:
/// each in quotes, with the parameter that names it. `None` if one cannot be found.
fn in_split(params: &DatasetParams, root: &Path, pair: &FolderPair, name: &str) -> Option<Vec<(String, String)>> {
    let own = pair.split.as_ref()?;
    let renamed = |value: &str| filled_in(value, name);
    let pair = FolderPair {
        images: renamed(params.images.as_deref()?),
        masks: renamed(params.masks.as_deref().unwrap_or("masks")),
        annotations: pair.annotations.clone(),
        split: Some(SplitFolder { name: name.to_owned(), ..own.clone() }),
    };
    let roles = if pair.annotations.is_some() { &[Role::Images][..] } else { &[Role::Images, Role::Masks] };
    let missing = roles.iter().filter(|role| !root.join(role.folder(&pair)).is_dir());
    let one = |role: &Role| {
        let folder = find(params, root, &pair, *role)?;
        Some((format!("`{folder}`"), format!("`{} = \"{}\"`", role.param(), value_for(&folder, &pair)?)))
    };
    missing.map(one).collect()
}

/// What to do if `folder` is there under a name that looks the same, with letters that are composed otherwise.
pub(super) fn composed_otherwise(root: &Path, folder: &str) -> Option<String> {
    let mut found = String::new();
    let mut other = None;
    for part in folder.split('/').filter(|part| *part != ".") {
        let next = join(&found, part);
        if root.join(&next).is_dir() {
            found = next;
            continue;
        }
        let name = folders_in(root, &found).into_iter().find(|name| composed(name) == composed(part))?;
        found = join(&found, &name);
        other.get_or_insert_with(|| found.clone());
    }
    let forms = if composed(folder) == folder { "NFD, the name here NFC" } else { "NFC, the name here NFD" };
    other.map(|other| {
        format!(
            "found `{other}`, whose letters are composed differently (its name is {forms}): rename it, or copy its name \
             from the computer's list of files"
        )
    })
}

/// The folder that could be meant by the missing folder `role` of `pair`.
fn find(params: &DatasetParams, root: &Path, pair: &FolderPair, role: Role) -> Option<String> {
    let wanted = role.folder(pair);
    let other = if role == Role::Images { &pair.masks } else { &pair.images };
    let (parent, last) = wanted.rsplit_once('/').unwrap_or(("", wanted));
    let mut places = vec![parent];
    if !parent.is_empty() {
        places.push("");
    }
    let split = pair.split.as_ref().map(|split| split.name.as_str());
    for place in places {
        let folders = folders_in(root, place);
        let same_but_case = |name: &&String| place == parent && name.to_lowercase() == last.to_lowercase();
        let by_word = |name: &&String| {
            let name = bare(name);
            let with_split = split.map(bare).is_some_and(|split| {
                let rest = name.strip_prefix(&split).or(name.strip_suffix(&split));
                rest.is_some_and(|rest| role.words().contains(&rest))
            });
            with_split || (place == parent && role.words().contains(&&*name))
        };
        let found = folders.iter().find(same_but_case).or_else(|| {
            folders.iter().find(|name| by_word(name) && join(place, name) != *other && join(place, name) != wanted)
        });
        if let Some(name) = found {
            return Some(join(place, name));
        }
    }
    let split = split?;
    for name in folders_in(root, "").iter().filter(|name| role.words().contains(&&*bare(name))) {
        let folder = join(name, split);
        if root.join(&folder).is_dir() && folder != *other {
            return Some(folder);
        }
    }
    let own = parent.to_owned();
    (role == Role::Images && own == split && !params.images.as_deref()?.contains(SPLIT) && holds_images(root, &own))
        .then_some(own)
}

/// What `images` or `masks` must be so that `folder` is that of `pair`.
fn value_for(folder: &str, pair: &FolderPair) -> Option<String> {
    let Some(split) = &pair.split else { return Some(folder.into()) };
    match folder.strip_prefix(&split.name).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => Some(rest.into()),
        None => folder.contains(&split.name).then(|| folder.replacen(&split.name, SPLIT, 1)),
    }
}

/// Refuses a folder that looks like a split under another name, if the split has no folder of its own: its images would be
/// left out without a word.
///
/// # Errors
/// [`DataError::Bad`] with the cure.
pub(super) fn refuse_ignored_splits(params: &DatasetParams, root: &Path) -> Result<(), DataError> {
    let ignored = |pair: FolderPair| {
        let split = pair.split.as_ref()?;
        if split.split == Split::Train || split.is_given || root.join(&pair.images).is_dir() {
            return None;
        }
        let (found, name, split) = split_under_another_name(root, &pair)?;
        let problem = format!("looks like the folder of the split {split}, which is named otherwise");
        let cure = format!("add `splits = {{ {split} = \"{name}\" }}`, rename it to {split}, or move it away");
        Some(DataError::bad(&root.join(found), problem, cure))
    };
    DataError::check_all(folder_pairs(params).into_iter().filter_map(ignored).collect())
}

fn join_if(parent: &str, name: &str) -> String {
    if name.is_empty() { parent.into() } else { join(parent, name) }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.into() } else { format!("{parent}/{name}") }
}

/// The names of the folders in `root/parent`, sorted; none if it cannot be listed.
fn folders_in(root: &Path, parent: &str) -> Vec<String> {
    let parent = if parent.is_empty() { "." } else { parent };
    let files = files_in(root, parent, String::new).unwrap_or_default();
    files.folders.iter().filter_map(|(name, _)| name.rsplit('/').next().map(str::to_owned)).collect()
}

fn holds_images(root: &Path, folder: &str) -> bool {
    files_in(root, folder, String::new).is_ok_and(|files| !files.images.is_empty())
}
