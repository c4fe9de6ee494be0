//! The table `[datasets.micrographs]` for a folder that was looked at, commented.

use crate::data::Split;
use crate::data::look::{Bar, Found, FoundLabels, FoundMasks, SplitSizes, split_sizes};
use std::path::Path;

/// A line of TOML with a comment behind it, which may be empty.
struct Line {
    text: String,
    comment: String,
}

/// Column of the comments.
const COMMENTS: usize = 47;
/// From so many images on, splits are shares of them, so that images added later are split too.
const SHARES: usize = 30;

/// The splits of the labelled images, by folders or drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Splits {
    pub(super) sizes: SplitSizes,
    /// Whether they are drawn at random.
    pub(super) are_drawn: bool,
}

impl Splits {
    pub(super) fn of(found: &Found) -> Splits {
        if found.splits.is_empty() {
            return Splits { sizes: split_sizes(found.labelled), are_drawn: found.images.is_some() };
        }
        let of =
            |split: Split| found.splits.iter().find(|found| found.split == split).map_or(0, |found| found.labelled);
        let sizes = SplitSizes { train: of(Split::Train), val: of(Split::Val), test: of(Split::Test) };
        Splits { sizes, are_drawn: false }
    }
}

/// The table, with `path` as the data set's folder.
pub(super) fn table(found: &Found, path: &Path, splits: Splits) -> String {
    let mut lines = vec![
        line("format", "\"folder\"", ""),
        line(
            "path",
            quoted(&path.display().to_string()),
            "a relative path is looked up beside this file, or where --data says",
        ),
    ];
    layout(&mut lines, found, splits);
    if let Some(bits) = found.bits {
        let comment = format!(
            "the smallest usual depth that holds the values seen in 16-bit images; {} the camera's",
            if bits == 16 { "or" } else { "correct it to" }
        );
        lines.push(line("bits", bits.to_string(), &comment));
    }
    if let Bar::Rows(rows) = found.bar {
        let comment = "<- rows of the info bar: masks are so much shorter than their images";
        lines.push(line("crop", format!("{{ bottom = {rows} }}"), comment));
    }
    if let Some(masks) = &found.masks {
        classes(&mut lines, masks);
    }
    annotated(&mut lines, found);
    if let Some(group) = &found.group {
        let comment = "if names that begin alike show one specimen: keeps a specimen in one split";
        lines.push(line("# group", format!("'{group}'"), comment));
    }
    let mut text = "[datasets.micrographs]\n".to_owned();
    for Line { text: content, comment } in lines {
        if comment.is_empty() {
            text += &format!("{content}\n");
        } else {
            text += &format!("{content:<COMMENTS$} # {comment}\n");
        }
    }
    text
}

/// Where images and masks lie, and how they are split.
fn layout(lines: &mut Vec<Line>, found: &Found, splits: Splits) {
    let masks = found.masks.as_ref().map(|masks| masks.folder.as_str());
    if let Some(images) = &found.images {
        // `train/images` and `train/masks` need only the names inside the folders of splits.
        let inside =
            |path: &str| path.strip_prefix("{split}/").filter(|rest| !rest.contains("{split}")).map(str::to_owned);
        let both = inside(images).zip(masks.map_or(Some(String::new()), inside));
        let (images, masks) = match both {
            Some((images, masks_inside)) if !found.splits.is_empty() => (images, masks.map(|_| masks_inside)),
            _ => (images.clone(), masks.map(str::to_owned)),
        };
        lines.push(line("images", quoted(&images), "the folder of micrographs"));
        if let Some(masks) = masks {
            lines.push(line("masks", quoted(&masks), "the folder of masks"));
        }
    }
    if let Some(FoundMasks { pattern, .. }) = found.masks.as_ref().filter(|masks| masks.pattern != "{stem}") {
        lines.push(line("mask_pattern", quoted(pattern), "how masks are named after their micrographs"));
    }
    if let Some(unlabeled) = &found.unlabeled {
        lines.push(line("unlabeled", quoted(unlabeled), "micrographs without masks, to pretrain on"));
    }
    let renamed: Vec<String> = found
        .splits
        .iter()
        .filter(|found| found.folder != found.split.name())
        .map(|found| format!("{} = {}", found.split.name(), quoted(&found.folder)))
        .collect();
    if !renamed.is_empty() {
        lines.push(line("splits", format!("{{ {} }}", renamed.join(", ")), "the names of their folders"));
    }
    if splits.are_drawn {
        let SplitSizes { train, val, test } = splits.sizes;
        let all = train + val + test;
        let of = |count: usize| if all < SHARES { count.to_string() } else { "0.2".into() };
        let (text, comment) = match (val, test) {
            (0, 0) => ("{ seed = 0 }".into(), "too few masks to validate or to test on".into()),
            (0, test) => (
                format!("{{ test = {} }}", of(test)),
                format!("of {all} images with masks, drawn at random; too few to validate on"),
            ),
            _ => (
                format!("{{ val = {}, test = {} }}", of(val), of(test)),
                format!(
                    "of {all} images with masks, drawn at random: {train} to train, {val} to validate, {test} to test on"
                ),
            ),
        };
        lines.push(line("split", text, &comment));
    }
}

/// The classes of masks.
fn classes(lines: &mut Vec<Line>, masks: &FoundMasks) {
    let name = |class: usize| format!("class_{class}");
    let percent = |share: f64| match share * 100.0 {
        0.0 => "not seen".to_owned(),
        percent if percent < 0.1 => "below 0.1 %".into(),
        percent => format!("{percent:.1} %"),
    };
    let seen = |shares: &[f64]| {
        let shares: Vec<String> = shares.iter().map(|&share| percent(share)).collect();
        format!("shares of pixels in {}: {}", counted(masks.read, "mask"), shares.join(", "))
    };
    let rename = "<- give them their names, in the same order (--preview shows them)";
    match &masks.labels {
        FoundLabels::Values { classes, ignore } => {
            let names: Vec<String> = (0..classes.len()).map(|class| quoted(&name(class))).collect();
            let values: Vec<String> = classes.iter().map(|found| found.value.to_string()).collect();
            let shares: Vec<f64> = classes.iter().map(|found| found.share).collect();
            lines.push(line("classes", format!("[{}]", names.join(", ")), rename));
            lines.push(line("values", format!("[{}]", values.join(", ")), &seen(&shares)));
            if let Some(found) = ignore {
                let comment = format!(
                    "<- beside small numbers 255 mostly means \"not annotated\" ({} of pixels, in {} of {}); if it is \
                     a class, add it to `classes` and `values` and remove this line",
                    percent(found.share),
                    found.masks,
                    counted(masks.read, "mask")
                );
                lines.push(line("ignore_label", found.value.to_string(), &comment));
            }
        }
        FoundLabels::Colors { classes, other } => {
            let first = usize::from(other.is_some());
            let names: Vec<String> = (0..classes.len() + first).map(|class| quoted(&name(class))).collect();
            let greys = other.iter().map(|_| format!("{} = \"other\"", name(0)));
            let colors =
                classes.iter().enumerate().map(|(i, found)| format!("{} = \"{}\"", name(i + first), found.color));
            let shares: Vec<f64> = other.iter().copied().chain(classes.iter().map(|found| found.share)).collect();
            lines.push(line("classes", format!("[{}]", names.join(", ")), rename));
            let colors = format!("{{ {} }}", greys.chain(colors).collect::<Vec<_>>().join(", "));
            lines.push(line("colors", colors, &seen(&shares)));
        }
    }
}

/// Annotations in the place of masks.
fn annotated(lines: &mut Vec<Line>, found: &Found) {
    let Some(annotations) = &found.annotations else { return };
    let background = ["background", "matrix", "rest"];
    let free = background.into_iter().find(|name| !annotations.classes.iter().any(|class| class == name));
    let background = free.unwrap_or("no_shape");
    // A class of its own, should the shapes have no names.
    let unnamed = annotations.classes.is_empty().then_some("class_1");
    let names: Vec<String> = std::iter::once(background)
        .chain(unnamed)
        .chain(annotations.classes.iter().map(String::as_str))
        .map(quoted)
        .collect();
    lines.push(line("annotations", quoted(&annotations.pattern), annotations.kind));
    lines.push(line(
        "classes",
        format!("[{}]", names.join(", ")),
        "the names in the annotations, behind the background",
    ));
    let comment = "<- the class of pixels in no shape; \"ignore\" if only parts of the images are annotated";
    lines.push(line("background", quoted(background), comment));
    if let Some(attribute) = &annotations.attribute {
        lines.push(line("attribute", quoted(attribute), "the property that holds the class"));
    }
    if ["VIA", "CVAT"].contains(&annotations.kind) {
        let comment = "images without shapes; \"background\" if they are annotated and hold nothing";
        lines.push(line("without_shapes", "\"unlabeled\"", comment));
    }
}

/// `1 mask`, `2 masks`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn line(key: &str, value: impl std::fmt::Display, comment: &str) -> Line {
    Line { text: format!("{key:<12} = {value}"), comment: comment.to_owned() }
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
