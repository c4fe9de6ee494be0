//! What a look at a folder found, in lines: printed, and at the top of the experiment.

use super::data_table::Splits;
use crate::data::look::{Bar, Found, FoundLabels, FoundMasks, SplitSizes};

/// Largest number of sizes or kinds of files that are listed.
const LISTED: usize = 4;

/// One line for each kind of thing that was found.
pub(super) fn lines(found: &Found, splits: Splits) -> Vec<String> {
    let mut lines = vec![format!("images     {} with a mask, {} without", found.labelled, found.unlabelled)];
    if !found.sizes.is_empty() {
        let sizes = found.sizes.iter().map(|((width, height), count)| format!("{width}×{height} ({count})"));
        lines.push(format!("sizes      {}", listed(sizes)));
    }
    if !found.stored.is_empty() {
        let stored = found.stored.iter().map(|(kind, count)| format!("{kind} ({count})"));
        let bits = found.bits.map(|bits| format!("; {bits} bits are used")).unwrap_or_default();
        lines.push(format!("stored as  {}{bits}", listed(stored)));
    }
    match &found.bar {
        Bar::None => {}
        Bar::Rows(rows) => lines.push(format!("info bar   {rows} rows at the bottom, which the masks do not have")),
        Bar::Different(rows) => {
            let rows = rows.iter().map(|(rows, images)| format!("{rows} rows ({images})"));
            lines.push(format!("info bar   of different heights: masks are shorter by {}", listed(rows)));
        }
    }
    if let Some(masks) = &found.masks {
        lines.push(mask_line(masks));
    }
    if let Some(annotations) = &found.annotations {
        let classes = annotations.classes.join(", ");
        lines.push(format!("shapes     {} in {}: {classes}", annotations.kind, annotations.pattern));
    }
    if found.labelled > 0 {
        let SplitSizes { train, val, test } = splits.sizes;
        let how = if splits.are_drawn { "drawn at random" } else { "by folders" };
        lines.push(format!("splits     {train} train, {val} val, {test} test, {how}"));
    }
    if let Some(unlabeled) = &found.unlabeled {
        lines.push(format!("unlabelled in {unlabeled}"));
    }
    lines
}

fn mask_line(masks: &FoundMasks) -> String {
    let FoundMasks { folder, pattern, labels, read } = masks;
    let named = if pattern == "{stem}" { "named like their images".into() } else { format!("named {pattern}") };
    let holds = match labels {
        FoundLabels::Values { classes, ignore } => {
            let values: Vec<String> = classes.iter().chain(ignore).map(|found| found.value.to_string()).collect();
            format!("values {}", values.join(", "))
        }
        FoundLabels::Colors { classes, other } => {
            let colors: Vec<String> = classes.iter().map(|found| found.color.to_string()).collect();
            let painted = if other.is_some() { " painted onto grey images" } else { "" };
            format!("colours {}{painted}", colors.join(", "))
        }
    };
    format!("masks      in {folder}, {named}; {holds} (in {read} that were read)")
}

fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let shown: Vec<String> = items.take(LISTED).collect();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
