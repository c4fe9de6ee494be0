//! How masks are named after their images.

use super::names::is_mask_word;
use super::sample::sample;
use std::collections::{BTreeMap, BTreeSet};

/// Where the image's stem stands in a pattern.
const STEM: &str = "{stem}";
/// Most masks whose names are looked at.
const MOST: usize = 500;
/// Longest stem that is searched for parts.
const LONGEST: usize = 200;

/// The pattern (`"{stem}"` or, e.g., `"{stem}_mask"`) by which most of `masks` are named after one of `images` (stems), and
/// the number of those in an evenly spaced sample. `None` if no name of an image is in the name of a mask.
pub(super) fn between(images: &BTreeSet<&str>, masks: &[&str]) -> Option<(String, usize)> {
    let masks: Vec<&str> = sample(masks, MOST).copied().collect();
    let same = masks.iter().filter(|mask| images.contains(**mask)).count();
    let others = most_frequent(masks.iter().flat_map(|mask| patterns(images, mask)));
    let same = (same > 0).then(|| (STEM.to_owned(), same));
    match (same, others) {
        (Some(same), Some(other)) => Some(if other.1 > same.1 { other } else { same }),
        (same, other) => same.or(other),
    }
}

/// The pattern by which some of `stems`, all in one folder, are masks of others: `"{stem}_mask"`, `"label-{stem}"`. What is
/// added holds a word for masks.
pub(super) fn within(stems: &BTreeSet<&str>) -> Option<(String, usize)> {
    let names_a_mask = |pattern: &String| {
        let added = pattern.replace(STEM, " ").to_ascii_lowercase();
        added.split(|c: char| !c.is_alphanumeric()).any(is_mask_word)
    };
    let all: Vec<&str> = stems.iter().copied().collect();
    most_frequent(sample(&all, MOST).flat_map(|stem| patterns(stems, stem)).filter(names_a_mask))
}

/// Every pattern that makes `mask` of one of `images`: something before it, or behind it, or both.
fn patterns(images: &BTreeSet<&str>, mask: &str) -> Vec<String> {
    if mask.len() > LONGEST {
        return Vec::new();
    }
    let ends: Vec<usize> = mask.char_indices().map(|(at, _)| at).chain([mask.len()]).collect();
    let mut found = Vec::new();
    for (i, &start) in ends.iter().enumerate() {
        for &end in &ends[i + 1..] {
            let is_whole = start == 0 && end == mask.len();
            if !is_whole && images.contains(&mask[start..end]) {
                found.push(format!("{}{STEM}{}", &mask[..start], &mask[end..]));
            }
        }
    }
    // A pattern with a brace of its own could not be written down.
    found.retain(|pattern| pattern.matches(['{', '}']).count() == 2);
    found
}

fn most_frequent(patterns: impl Iterator<Item = String>) -> Option<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for pattern in patterns {
        *counts.entry(pattern).or_default() += 1;
    }
    // Of equally frequent ones that in which the stem is a word of its own, and then the shortest: it leaves the most to the stem.
    counts.into_iter().max_by_key(|(pattern, count)| (*count, is_a_word(pattern), std::cmp::Reverse(pattern.len())))
}

/// Whether the stem ends where letters and digits end.
fn is_a_word(pattern: &str) -> bool {
    pattern.split_once(STEM).is_some_and(|(before, after)| {
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_between_folders_and_within_one() {
        let set = |stems: &[&'static str]| stems.iter().copied().collect::<BTreeSet<&str>>();
        let found = |images: &[&'static str], masks: &[&str]| between(&set(images), masks);
        assert_eq!(found(&["a", "b"], &["a", "b", "c"]), Some(("{stem}".into(), 2)));
        assert_eq!(found(&["s1", "s2", "s10"], &["s1_L", "s2_L", "s10_L"]), Some(("{stem}_L".into(), 3)));
        assert_eq!(found(&["1", "2"], &["mask-1_v2", "mask-2_v2"]), Some(("mask-{stem}_v2".into(), 2)));
        assert_eq!(found(&["a"], &["x", "y"]), None);
        assert_eq!(within(&set(&["a", "a_mask", "b", "b_mask", "c"])), Some(("{stem}_mask".into(), 2)));
        assert_eq!(within(&set(&["a", "label-a"])), Some(("label-{stem}".into(), 1)));
        // A copy with another ending is no mask.
        assert_eq!(within(&set(&["a", "a_2", "b", "b_2"])), None);
        assert_eq!(within(&set(&["ä", "ä_seg"])), Some(("{stem}_seg".into(), 1)));
    }
}
