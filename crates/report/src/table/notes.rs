//! What a reader must know, below the table.

use super::{Row, TEST_MARK, Table, number};
use crate::published::{self, Published};
use matssl_metrics::{Averaging, LEAST_IMAGES, LEAST_PAIRS, RESAMPLES};

/// So many rows are named with their numbers in a sentence.
const MOST: usize = 6;

/// Which form the notes stand below.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Below<'a> {
    /// A table that shows all columns; holds how its best values are marked.
    Columns(&'a str),
    /// The terminal's, which leaves intervals and tests to the notes.
    Terminal,
}

impl Table {
    /// A sentence or two each.
    pub(super) fn notes(&self, below: Below) -> Vec<String> {
        let several_groups = self.rows.iter().any(|row| row.group > Some(0));
        let best = match below {
            Below::Columns(best) => best,
            Below::Terminal => "*",
        };
        let mut notes = vec![match several_groups {
            true => format!("{best}: best of its column among the rows scored on the same images."),
            false => format!("{best}: best of its column."),
        }];
        if self.averaging.0 != Averaging::Pooled {
            let definition = self.averaging.0.definition(self.averaging.1);
            notes.push(format!("mIoU: {definition}. All other scores are pooled over the images."));
        }
        if self.several_seeds() {
            notes.push("Mean ± sample standard deviation over seeds.".into());
        }
        if self.tested {
            notes.extend(self.interval_notes(below));
            notes.extend(self.test_notes(below));
        }
        if self.rows.iter().any(Row::is_baseline) {
            notes.push("Majority class: always answers the most frequent class of the training masks.".into());
        }
        if !self.left_out.is_empty() {
            notes.push(format!("Left out of the means: {}.", self.left_out.join(", ")));
        }
        notes.extend(self.other_splits());
        let optimistic = || self.rows.iter().filter(|row| row.optimistic);
        if optimistic().all(|row| row.scored_on.0 == "test") && optimistic().next().is_some() {
            notes.push(format!("{TEST_MARK} Epoch chosen on the test images: these scores are optimistic."));
        } else if optimistic().next().is_some() {
            notes.push(format!("{TEST_MARK} Epoch chosen on the images that are scored: these scores are optimistic."));
        }
        notes.extend(self.published_notes(below));
        notes
    }

    fn interval_notes(&self, below: Below) -> Option<String> {
        let over = if self.several_seeds() { "images and seeds" } else { "images" };
        let with: Vec<&Row> = self.rows.iter().filter(|row| row.interval.is_some()).collect();
        if with.is_empty() {
            return Some("No intervals and tests: they need at least two images that are scored.".into());
        }
        let how = format!("bootstrap over {over}, {} resamples", thousands(RESAMPLES));
        if below != Below::Terminal {
            return Some(format!("95 % interval of the mIoU: {how}."));
        }
        if with.len() > MOST {
            return Some(format!("95 % intervals of the mIoU ({how}) are in the CSV."));
        }
        let each = |row: &&Row| {
            let [low, high] = row.interval.unwrap_or_default();
            format!("{} {} to {}", row.label, number(low), number(high))
        };
        let each: Vec<String> = with.iter().map(each).collect();
        Some(format!("95 % intervals of the mIoU ({how}): {}.", each.join("; ")))
    }

    /// A sentence on each row that others are compared with, one on Wilcoxon's test.
    fn test_notes(&self, below: Below) -> Vec<String> {
        let compared: Vec<(&Row, &super::Comparison)> =
            self.rows.iter().filter_map(|row| Some((row, row.comparison.as_ref()?))).collect();
        let mut references: Vec<&str> = Vec::new();
        for (_, comparison) in &compared {
            if !references.contains(&comparison.with.as_str()) {
                references.push(&comparison.with);
            }
        }
        let mut notes = Vec::new();
        for reference in &references {
            let against = compared.iter().filter(|(_, comparison)| comparison.with == *reference);
            let how = format!("mIoU against {reference}, paired bootstrap, two-sided, Holm-corrected");
            let each = |(row, comparison): &(&Row, &super::Comparison)| {
                format!("{} {}", row.label, p_equals(comparison.bootstrap_holm))
            };
            let images = against.clone().map(|(_, comparison)| comparison.images).max().unwrap_or(0);
            if images < LEAST_IMAGES {
                notes.push(format!(
                    "mIoU against {reference}: no p, for {images} images are too few (it needs {LEAST_IMAGES})."
                ));
                continue;
            }
            let each: Vec<String> = against.map(each).collect();
            notes.push(match below {
                Below::Columns(_) => format!("p: {how}."),
                Below::Terminal if each.len() > MOST => format!("{how}: p in the CSV."),
                Below::Terminal => format!("{how}: {}.", each.join("; ")),
            });
        }
        notes.extend(chosen_after(&compared));
        let tested: Vec<&(&Row, &super::Comparison)> =
            compared.iter().filter(|(_, comparison)| comparison.wilcoxon.is_some()).collect();
        if compared.is_empty() {
        } else if tested.is_empty() {
            let most = compared.iter().map(|(_, comparison)| comparison.common_seeds).max().unwrap_or(0);
            notes.push(format!(
                "Wilcoxon signed-rank over seeds: too few seeds ({most} in common, it needs {LEAST_PAIRS})."
            ));
        } else {
            let how = "Wilcoxon signed-rank over seeds, exact, two-sided, Holm-corrected";
            let each = |(row, comparison): &&(&Row, &super::Comparison)| {
                format!("{} {}", row.label, p_equals(comparison.wilcoxon_holm))
            };
            notes.push(match below {
                Below::Columns(_) => format!("p (Wilcoxon): {how}."),
                Below::Terminal if tested.len() > MOST => format!("{how}: p in the CSV."),
                Below::Terminal => {
                    format!("{how}: {}.", tested.iter().map(each).collect::<Vec<_>>().join("; "))
                }
            });
        }
        notes
    }

    /// Where published values come from, and what contradicts them.
    fn published_notes(&self, below: Below) -> Vec<String> {
        let values: Vec<&Published> = self.rows.iter().filter_map(|row| row.published).collect();
        let mut notes: Vec<String> = Vec::new();
        let mut add = |note: String| {
            if !notes.contains(&note) {
                notes.push(note);
            }
        };
        for value in &values {
            let Some(source) = published::source(&value.source) else { continue };
            match below {
                Below::Columns(_) => add(format!("Published: {}. {}", source.cite, source.about)),
                Below::Terminal => add(format!("Published: {}.", source.cite)),
            }
        }
        for value in &values {
            value.note.iter().for_each(|note| add(format!("On {}: {note}", value.id)));
        }
        if self.rows.iter().any(Row::is_published_only) {
            add("Published only: not run here.".into());
        }
        notes
    }

    /// A sentence for each set of images that are not test images; where rows differ, with the names of its methods.
    fn other_splits(&self) -> Vec<String> {
        let run = || self.rows.iter().filter(|row| !row.is_published_only());
        let mut sets: Vec<&(String, usize)> = Vec::new();
        for row in run() {
            if row.scored_on.0 != "test" && !sets.contains(&&row.scored_on) {
                sets.push(&row.scored_on);
            }
        }
        let sentence = |set: &(String, usize)| {
            let images = if set.1 == 1 { "image" } else { "images" };
            let scored = format!("cored on the {} {} {images}.", set.1, set.0);
            if run().all(|row| row.scored_on == *set) {
                return format!("S{scored}");
            }
            let methods = run().filter(|row| row.scored_on == *set && row.seeds.is_some());
            format!("{}: s{scored}", methods.map(|row| row.label.as_str()).collect::<Vec<_>>().join(", "))
        };
        sets.into_iter().map(sentence).collect()
    }
}

/// That the best row was picked by the scores that are tested.
fn chosen_after(compared: &[(&Row, &super::Comparison)]) -> Option<String> {
    let mut chosen: Vec<&str> = Vec::new();
    let tested = |comparison: &super::Comparison| comparison.bootstrap.is_some() || comparison.wilcoxon.is_some();
    for (_, comparison) in compared.iter().filter(|(_, comparison)| comparison.chosen_after && tested(comparison)) {
        if !chosen.contains(&comparison.with.as_str()) {
            chosen.push(&comparison.with);
        }
    }
    let why =
        "by these very scores, which the tests do not allow for: p is too small (compare_with names a row beforehand)";
    match chosen[..] {
        [] => None,
        [one] => Some(format!("{one} was chosen afterwards as the best, {why}.")),
        _ => Some(format!("{} were chosen afterwards as the best of their images, {why}.", chosen.join(" and "))),
    }
}

/// `0.012`, or `< 0.001`.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

fn p_equals(p: Option<f64>) -> String {
    match p {
        None => "p –".into(),
        Some(p) if p < 0.001 => format!("p {}", p_value(p)),
        Some(p) => format!("p = {}", p_value(p)),
    }
}

fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}
