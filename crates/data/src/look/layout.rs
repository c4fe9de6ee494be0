//! The folders of the data set, chosen among all that were found.

use super::folders::Folder;
use super::found::FoundSplit;
use super::names::Role;
use super::pairs::{Pair, looks_like_masks};
use crate::Split;
use crate::stem::stem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders whose files are decoded to see whether they are masks.
const DECODED: usize = 50;
/// Folders that are named in one sentence.
const NAMED: usize = 4;

/// Where the data set's images and masks lie. Paths are inside the folder that is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// What `path` gets behind that folder; `""` for nothing.
    pub(super) base: String,
    /// Inside the base; `"."` is the base itself.
    pub(super) images: Option<String>,
    /// Inside the base, likewise: the folder of masks, or the file of annotations.
    pub(super) masks: Option<String>,
    pub(super) pattern: String,
    pub(super) splits: Vec<FoundSplit>,
    /// Inside the base, likewise.
    pub(super) unlabeled: Option<String>,
    /// Paths of all images with their masks.
    pub(super) matched: Vec<(String, String)>,
    /// Paths of all images without a mask.
    pub(super) without_mask: Vec<String>,
    /// What is not used, one line each.
    pub(super) passed_over: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// The layout of the pairs with the most images.
pub(super) fn layout(root: &Path, folders: &[Folder], pairs: &[Pair<'_>]) -> Layout {
    let mut groups: BTreeMap<(String, &str, &str), Vec<&Pair<'_>>> = BTreeMap::new();
    for pair in pairs {
        let place = match pair.images.split {
            Some(_) => pair.images.template.clone(),
            // Without a split each folder stands for itself.
            None => format!("{}/", pair.images.path),
        };
        groups.entry((place, &pair.masks_template, &pair.pattern)).or_default().push(pair);
    }
    let labelled = |group: &[&Pair<'_>]| group.iter().map(|pair| pair.matched.len()).sum::<usize>();
    let is_split = |group: &[&Pair<'_>]| group[0].images.split.is_some();
    let best = groups.into_values().max_by_key(|group| (labelled(group), is_split(group)));
    let mut layout = match best {
        Some(group) => of_group(folders, group),
        None => Layout::default(),
    };
    let used: BTreeSet<String> =
        layout.matched.iter().flat_map(|(image, mask)| [parent(image), parent(mask)]).collect();
    let left_out = left_out(&mut layout, pairs, &used);
    add_unlabeled(root, &mut layout, folders, &used, &left_out);
    move_base(&mut layout);
    layout
}

fn of_group(folders: &[Folder], mut group: Vec<&Pair<'_>>) -> Layout {
    group.sort_by_key(|pair| std::cmp::Reverse(pair.matched.len()));
    let mut by_split: BTreeMap<Split, &Pair<'_>> = BTreeMap::new();
    for pair in group.iter().filter(|pair| pair.images.split.is_some()) {
        if let Some((split, _)) = pair.images.split {
            by_split.entry(split).or_insert(pair);
        }
    }
    let template = &group[0].images.template;
    // A split's folder of images without masks: its images can only be unlabelled ones.
    let lacks_masks = folders.iter().find(|folder| {
        let (Some((split, _)), true) = (&folder.split, &folder.template == template) else { return false };
        !by_split.contains_key(split) && folder.role != Role::Masks
    });
    let has_folders = by_split.contains_key(&Split::Train) && by_split.len() > 1 && lacks_masks.is_none();
    let mut layout = Layout { pattern: group[0].pattern.clone(), ..Layout::default() };
    let used: Vec<&Pair<'_>> = if has_folders {
        layout.images = Some(template.clone());
        layout.masks = Some(group[0].masks_template.clone());
        let word = |pair: &Pair<'_>| pair.images.split.as_ref().map(|(_, word)| word.clone()).unwrap_or_default();
        layout.splits = by_split
            .iter()
            .map(|(&split, pair)| FoundSplit { split, folder: word(pair), labelled: pair.matched.len() })
            .collect();
        by_split.into_values().collect()
    } else {
        let pair = by_split.get(&Split::Train).copied().unwrap_or(group[0]);
        layout.images = Some(or_dot(&pair.images.path));
        layout.masks = Some(or_dot(&pair.masks));
        vec![pair]
    };
    if let (Some(folder), false) = (lacks_masks, has_folders) {
        layout.warnings.push(format!(
            "the images in {0} have no masks: the splits are drawn from {1}; add the masks, or move {0} away, to use the folders \
             of splits",
            folder.path, used[0].images.path
        ));
    }
    for pair in used {
        layout.matched.extend(pair.matched.iter().cloned());
        layout.without_mask.extend(pair.without_mask.iter().cloned());
        if pair.without_image > 0 {
            layout.warnings.push(format!(
                "{} of {} without an image of the same name in {}: remove or rename what is left over",
                counted(pair.without_image, "mask"),
                or_dot(&pair.masks),
                or_dot(&pair.images.path)
            ));
        }
        let needs_masks = has_folders && matches!(pair.images.split, Some((Split::Val | Split::Test, _)));
        if needs_masks && !pair.without_mask.is_empty() {
            layout.warnings.push(format!(
                "{} in {} without a mask, and validation and test images need one: move what has none away",
                counted(pair.without_mask.len(), "image"),
                pair.images.path
            ));
        }
    }
    layout
}

/// The folders of the pairs that are not used, with a warning that counts their images.
fn left_out<'p>(layout: &mut Layout, pairs: &'p [Pair<'_>], used: &BTreeSet<String>) -> BTreeSet<&'p str> {
    let others: Vec<&Pair<'_>> =
        pairs.iter().filter(|pair| !used.contains(&pair.images.path) && !pair.matched.is_empty()).collect();
    if others.is_empty() {
        return BTreeSet::new();
    }
    let count: usize = others.iter().map(|pair| pair.matched.len()).sum();
    let mut places: Vec<String> = others.iter().map(|pair| or_dot(&pair.images.path)).collect();
    places.sort();
    let more = places.len().saturating_sub(NAMED);
    places.truncate(NAMED);
    if more > 0 {
        places.push(format!("{more} more folders"));
    }
    let own = layout.images.clone().unwrap_or_default();
    layout.warnings.push(format!(
        "{} with a mask in {} {} left out, only {own} is used: move all images into one folder and all masks into another, \
         with sub folders of the same names (images/A and masks/A), and add `recursive = true`",
        counted(count, "image"),
        places.join(", "),
        if count == 1 { "is" } else { "are" }
    ));
    others.iter().flat_map(|pair| [pair.images.path.as_str(), pair.masks.as_str()]).collect()
}

/// Chooses a folder of images without masks, and names what is left. Neither a folder to validate or to test on is chosen, nor
/// one whose files look like masks, nor one of those `left_out`.
fn add_unlabeled(
    root: &Path,
    layout: &mut Layout,
    folders: &[Folder],
    used: &BTreeSet<String>,
    left_out: &BTreeSet<&str>,
) {
    let labelled: BTreeSet<&str> = layout.matched.iter().map(|(image, _)| stem(image)).collect();
    let mut rest: Vec<&Folder> = folders
        .iter()
        .filter(|folder| !used.contains(&folder.path) && !left_out.contains(folder.path.as_str()))
        .collect();
    rest.sort_by_key(|folder| (folder.role != Role::Unlabeled, std::cmp::Reverse(folder.files.len())));
    let mut chosen: Option<&Folder> = None;
    for (i, folder) in rest.into_iter().enumerate() {
        let files = folder.files.len();
        let copies = folder.files.iter().filter(|file| labelled.contains(stem(file))).count();
        let reason = match folder.role {
            Role::PassedOver => "by their folder's name they are no micrographs to learn from",
            Role::Masks => "by their folder's name they are masks, and they belong to no images that are used",
            _ if 2 * copies > files => "they have the names of labelled images: copies, or a second set of masks",
            _ if !layout.splits.is_empty() && folder.split.is_some() => "their split has no masks in the same place",
            _ if matches!(folder.split, Some((Split::Val | Split::Test, _))) => {
                "by their folder's name they are to validate or to test on, and they have no masks"
            }
            Role::Neutral if i < DECODED && looks_like_masks(root, folder) => {
                "they hold few values, as masks do, and they belong to no images that are used"
            }
            _ if chosen.is_none() => {
                chosen = Some(folder);
                continue;
            }
            _ => "`unlabeled` names one folder: put them into it to use them, too",
        };
        layout.passed_over.push(format!("{} in {}: {reason}", image_files(files), or_dot(&folder.path)));
    }
    if let Some(folder) = chosen {
        layout.unlabeled = Some(or_dot(&folder.path));
        layout.without_mask.extend(folder.paths());
    }
}

/// Where everything is in one folder with splits inside (`data/train/images`), this folder becomes the data set's.
fn move_base(layout: &mut Layout) {
    let Some((base, _)) = layout.images.as_ref().and_then(|images| images.split_once("/{split}/")) else { return };
    let base = base.to_owned();
    let prefix = format!("{base}/");
    let parts = [&mut layout.images, &mut layout.masks, &mut layout.unlabeled];
    if base.contains("{split}") || !parts.iter().all(|part| part.as_ref().is_none_or(|path| path.starts_with(&prefix)))
    {
        return;
    }
    for path in parts.into_iter().flatten() {
        *path = path[prefix.len()..].to_owned();
    }
    layout.base = base;
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default()
}

/// A path as parameters spell it: `"."` is the folder itself.
pub(super) fn or_dot(path: &str) -> String {
    if path.is_empty() { ".".into() } else { path.to_owned() }
}

/// `1 image file`, `2 image files`.
pub(super) fn image_files(count: usize) -> String {
    counted(count, "image file")
}

/// `1 mask`, `2 masks`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
