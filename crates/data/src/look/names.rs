//! What the name of a folder says: its role, and a split.

use crate::Split;

/// What a folder holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Images,
    Masks,
    /// Images without masks.
    Unlabeled,
    /// Neither images to learn from nor masks: thumbnails, predictions.
    PassedOver,
    /// The name says nothing.
    Neutral,
}

const IMAGES: [&str; 24] = [
    "image",
    "images",
    "img",
    "imgs",
    "raw",
    "raws",
    "micrograph",
    "micrographs",
    "original",
    "originals",
    "input",
    "inputs",
    "photo",
    "photos",
    "picture",
    "pictures",
    "sem",
    "tem",
    "source",
    "sources",
    "scan",
    "scans",
    "x",
    "im",
];
const MASKS: [&str; 28] = [
    "mask",
    "masks",
    "label",
    "labels",
    "annotation",
    "annotations",
    "annot",
    "annots",
    "anno",
    "annos",
    "gt",
    "groundtruth",
    "truth",
    "seg",
    "segs",
    "segmentation",
    "segmentations",
    "segmented",
    "segmentated",
    "target",
    "targets",
    "manual",
    "lbl",
    "lbls",
    "semantic",
    "labelids",
    "y",
    "segmap",
];
const UNLABELED: [&str; 10] = [
    "unlabeled",
    "unlabelled",
    "unannotated",
    "unsupervised",
    "pretrain",
    "pretraining",
    "extra",
    "more",
    "additional",
    "nolabel",
];
const PASSED_OVER: [&str; 22] = [
    "thumbnail",
    "thumbnails",
    "thumb",
    "thumbs",
    "preview",
    "previews",
    "overlay",
    "overlays",
    "prediction",
    "predictions",
    "pred",
    "preds",
    "predicted",
    "result",
    "results",
    "output",
    "outputs",
    "visualization",
    "visualizations",
    "vis",
    "reports",
    "cache",
];
const SPLITS: [(&str, Split); 12] = [
    ("training", Split::Train),
    ("train", Split::Train),
    ("trn", Split::Train),
    ("validation", Split::Val),
    ("validate", Split::Val),
    ("valid", Split::Val),
    ("val", Split::Val),
    ("dev", Split::Val),
    ("testing", Split::Test),
    ("test", Split::Test),
    ("tst", Split::Test),
    ("eval", Split::Test),
];

/// One folder's name, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) role: Role,
    /// The split, and the word in the name that says so.
    pub(super) split: Option<(Split, String)>,
    /// The name with `{split}` in the place of that word.
    pub(super) template: String,
}

/// Whether `word` (lower case) is one of those that name masks.
pub(super) fn is_mask_word(word: &str) -> bool {
    MASKS.contains(&word) || word == "l"
}

/// Understands the name of one folder. Words are separated by anything but letters and digits; a split may also stand right
/// before a word, as in `trainannot`, or behind one, as in `imagesTr` of nnU-Net.
pub(super) fn understand(name: &str) -> Name {
    let mut split = None;
    let mut template = name.to_owned();
    let mut words: Vec<String> = Vec::new();
    let is_known = |word: &str| IMAGES.contains(&word) || MASKS.contains(&word);
    let mut start = 0;
    for part in name.split(|c: char| !c.is_alphanumeric()) {
        let lower = part.to_ascii_lowercase();
        let known = SPLITS.iter().find_map(|&(word, split)| {
            let rest = lower.strip_prefix(word)?;
            (rest.is_empty() || is_known(rest)).then_some((0, word, split, rest))
        });
        let behind = || {
            let ends = SPLITS.iter().chain(&[("tr", Split::Train), ("ts", Split::Test)]);
            ends.clone().find_map(|&(word, split)| {
                let rest = lower.strip_suffix(word)?;
                (is_known(rest) && !is_known(&lower)).then_some((rest.len(), word, split, rest))
            })
        };
        match known.or_else(behind) {
            Some((at, word, found, rest)) if split.is_none() => {
                let end = at + word.len();
                split = Some((found, part[at..end].to_owned()));
                template = format!("{}{{split}}{}", &name[..start + at], &name[start + end..]);
                words.push(rest.to_owned());
            }
            _ => words.push(lower),
        }
        start += part.len() + name[start + part.len()..].chars().next().map_or(0, char::len_utf8);
    }
    let has = |vocabulary: &[&str]| words.iter().any(|word| vocabulary.contains(&word.as_str()));
    let role = if has(&PASSED_OVER) {
        Role::PassedOver
    } else if has(&UNLABELED) {
        Role::Unlabeled
    } else if has(&MASKS) {
        Role::Masks
    } else if has(&IMAGES) {
        Role::Images
    } else {
        Role::Neutral
    };
    Name { role, split, template }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_understood() {
        let read = |name: &str| {
            let Name { role, split, template } = understand(name);
            (role, split.map(|(split, _)| split), template)
        };
        for (name, role, split, template) in [
            ("images", Role::Images, None, "images"),
            ("Labels", Role::Masks, None, "Labels"),
            ("train", Role::Neutral, Some(Split::Train), "{split}"),
            ("validate", Role::Neutral, Some(Split::Val), "{split}"),
            ("train_annot", Role::Masks, Some(Split::Train), "{split}_annot"),
            ("trainannot", Role::Masks, Some(Split::Train), "{split}annot"),
            ("images-Testing", Role::Images, Some(Split::Test), "images-{split}"),
            ("imagesTr", Role::Images, Some(Split::Train), "images{split}"),
            ("labelsTs", Role::Masks, Some(Split::Test), "labels{split}"),
            ("masks_train", Role::Masks, Some(Split::Train), "masks_{split}"),
            ("annots", Role::Masks, None, "annots"),
            ("str", Role::Neutral, None, "str"),
            ("ground_truth", Role::Masks, None, "ground_truth"),
            ("unlabeled_images", Role::Unlabeled, None, "unlabeled_images"),
            ("predictions", Role::PassedOver, None, "predictions"),
            ("testimony", Role::Neutral, None, "testimony"),
            ("größe µm", Role::Neutral, None, "größe µm"),
            ("", Role::Neutral, None, ""),
        ] {
            assert_eq!(read(name), (role, split, template.to_owned()), "{name}");
        }
        assert_eq!(understand("Valid_masks").split.unwrap().1, "Valid");
    }
}
