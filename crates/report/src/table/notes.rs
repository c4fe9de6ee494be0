//! Notes below a table.

use super::number::{number, p_value, signed, thousands};
use super::row::{Comparison, Row, TEST_MARK};
use super::scores::Table;
use crate::published::{self, Published};
use matssl_metrics::{Averaging, LEAST_IMAGES, LEAST_PAIRS, RESAMPLES};

/// Maximum number of rows whose numbers a sentence holds.
const MOST: usize = 6;

/// The form of the table that the notes are below.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Below<'a> {
    /// A table that shows all columns, and how it marks its best values.
    Columns(&'a str),
    /// The terminal's table, which leaves intervals and tests to the notes.
    Terminal,
}

impl Table {
    /// One or two sentences each.
    pub(super) fn notes(&self, below: Below) -> Vec<String> {
        let several_groups = self.rows.iter().any(|row| row.group > Some(0));
        let best = match below {
            Below::Columns(best) => best,
            Below::Terminal => "*",
        };
        let mut notes = vec![match several_groups {
            true => format!("{best}: best in its column among the rows scored on the same images."),
            false => format!("{best}: best in its column."),
        }];
        if self.averaging.0 != Averaging::Pooled {
            let definition = self.averaging.0.definition(self.averaging.1);
            notes.push(format!("mIoU: {definition}. All other scores are pooled over the images."));
        }
        notes.extend(self.definitions.iter().cloned());
        if let Some(over) = self.averaged_over() {
            notes.push(format!("Mean ± sample standard deviation over {over}."));
        }
        if self.tested {
            notes.extend(self.interval_notes(below));
            notes.extend(self.test_notes(below));
        }
        if self.rows.iter().any(Row::is_baseline) {
            notes.push("Majority class: predicts the most frequent class of the training masks everywhere.".into());
        }
        if !self.left_out.is_empty() {
            notes.push(format!("Left out of the means: {}.", self.left_out.join(", ")));
        }
        notes.extend(self.mean_of_notes());
        notes.extend(self.other_splits());
        notes.extend(self.optimism_note());
        notes.extend(self.published_notes(below));
        notes.extend(self.not_run_notes());
        notes
    }

    /// Which rows are of several models or copies.
    fn mean_of_notes(&self) -> Vec<String> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for (row, of) in self.rows.iter().filter_map(|row| Some((row, row.mean_of.as_deref()?))) {
            match groups.iter_mut().find(|(known, _)| *known == of) {
                Some((_, labels)) => labels.push(&row.label),
                None => groups.push((of, vec![&row.label])),
            }
        }
        let note =
            |(of, labels): (&str, Vec<&str>)| format!("{}: mean of the probabilities of {of}.", labels.join(", "));
        groups.into_iter().map(note).collect()
    }

    fn optimism_note(&self) -> Option<String> {
        let mut optimistic = self.rows.iter().filter(|row| row.optimistic).peekable();
        optimistic.peek()?;
        let images = if optimistic.all(|row| row.scored_on.0 == "test") { "test images" } else { "scored images" };
        Some(format!("{TEST_MARK} Epoch chosen on the {images}: these scores are optimistic."))
    }

    fn interval_notes(&self, below: Below) -> Option<String> {
        let over = match self.averaged_over() {
            Some("seeds and folds") => "images, seeds and folds".to_owned(),
            Some(over) => format!("images and {over}"),
            None => "images".to_owned(),
        };
        let with: Vec<&Row> = self.rows.iter().filter(|row| row.interval.is_some()).collect();
        if with.is_empty() {
            return Some("No intervals and tests: these need at least two scored images.".into());
        }
        let how = format!("bootstrap over {over}, {} resamples", thousands(RESAMPLES as u64));
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

    /// A sentence for each reference row, and one on Wilcoxon's test.
    fn test_notes(&self, below: Below) -> Vec<String> {
        let compared: Vec<(&Row, &Comparison)> =
            self.rows.iter().filter_map(|row| Some((row, row.comparison.as_ref()?))).collect();
        let mut references: Vec<&str> = Vec::new();
        for (_, comparison) in &compared {
            if !references.contains(&comparison.with.as_str()) {
                references.push(&comparison.with);
            }
        }
        let mut notes: Vec<String> =
            references.iter().filter_map(|reference| difference_note(&compared, reference, below)).collect();
        notes.extend(references.iter().map(|reference| bootstrap_note(&compared, reference, below)));
        notes.extend(chosen_after(&compared));
        notes.extend(wilcoxon_note(&compared, below));
        notes
    }

    /// The sources of published values, and what contradicts them.
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
        let mut names: Vec<&str> = Vec::new();
        for name in values.iter().flat_map(|value| &value.notes) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        for (name, text) in names.into_iter().filter_map(|name| Some((name, published::note(name)?))) {
            let mut ids: Vec<&str> = Vec::new();
            for value in values.iter().filter(|value| value.notes.iter().any(|own| own == name)) {
                if !ids.contains(&value.id.as_str()) {
                    ids.push(&value.id);
                }
            }
            add(format!("On {}: {text}", ids.join(", ")));
        }
        if self.rows.iter().any(Row::is_published_only) {
            add("Published only: not run here.".into());
        }
        notes
    }

    /// What to fetch, with the rows that need it.
    fn not_run_notes(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (label, reason) in self.rows.iter().filter_map(|row| Some((row.label.as_str(), row.not_run.as_deref()?))) {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, labels)) => labels.push(label),
                None => reasons.push((reason, vec![label])),
            }
        }
        let note =
            |(reason, labels): (&str, Vec<&str>)| format!("Not run: {}. To be fetched: {reason}.", labels.join("; "));
        reasons.into_iter().map(note).collect()
    }

    /// A sentence for each set of images that are not test images. If there are several sets, it names the methods.
    fn other_splits(&self) -> Vec<String> {
        let run = || self.rows.iter().filter(|row| row.group.is_some());
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

/// How much better rows are than `reference`, if it was named.
fn difference_note(compared: &[(&Row, &Comparison)], reference: &str, below: Below) -> Option<String> {
    let shown = compared.iter().filter(|(_, comparison)| comparison.with == reference);
    let shown: Vec<(&str, (f64, [f64; 2]))> =
        shown.filter_map(|(row, comparison)| Some((row.label.as_str(), comparison.shown_difference()?))).collect();
    if shown.is_empty() {
        return None;
    }
    let what = format!("mIoU minus that of {reference}, 95 % interval from resamples of the same images and seeds");
    Some(match below {
        Below::Columns(_) => format!("Paired difference: {what}."),
        Below::Terminal if shown.len() > MOST => format!("{what}: in the CSV."),
        Below::Terminal => {
            let each = |(label, (difference, [low, high])): &(&str, (f64, [f64; 2]))| {
                format!("{label} {} ({} to {})", signed(*difference), signed(*low), signed(*high))
            };
            format!("{what}: {}.", shown.iter().map(each).collect::<Vec<_>>().join("; "))
        }
    })
}

/// How rows were tested against `reference`.
fn bootstrap_note(compared: &[(&Row, &Comparison)], reference: &str, below: Below) -> String {
    let against: Vec<&(&Row, &Comparison)> = compared.iter().filter(|(_, c)| c.with == reference).collect();
    let images = against.iter().map(|(_, comparison)| comparison.images).max().unwrap_or(0);
    if images < LEAST_IMAGES {
        return format!(
            "mIoU against {reference}: no p-value, because {images} images are too few (at least {LEAST_IMAGES} are needed)."
        );
    }
    let test = format!("mIoU against {reference}, paired bootstrap, two-sided, Holm-corrected");
    let values = against.iter().map(|(row, comparison)| (row.label.as_str(), comparison.bootstrap_holm));
    with_values("p", &test, values.collect(), below)
}

/// How rows were tested over seeds.
fn wilcoxon_note(compared: &[(&Row, &Comparison)], below: Below) -> Option<String> {
    let tested: Vec<&(&Row, &Comparison)> = compared.iter().filter(|(_, c)| c.wilcoxon.is_some()).collect();
    if compared.is_empty() {
        return None;
    }
    if tested.is_empty() {
        let most = compared.iter().map(|(_, comparison)| comparison.common_seeds).max().unwrap_or(0);
        return Some(format!(
            "Wilcoxon signed-rank test over seeds: too few common seeds ({most}; at least {LEAST_PAIRS} are needed)."
        ));
    }
    let test = "Wilcoxon signed-rank test over seeds, exact, two-sided, Holm-corrected";
    let values = tested.iter().map(|(row, comparison)| (row.label.as_str(), comparison.wilcoxon_holm));
    Some(with_values("p (Wilcoxon)", test, values.collect(), below))
}

/// A test with its p-values by label, or with the name of the `column` that holds them.
fn with_values(column: &str, test: &str, values: Vec<(&str, Option<f64>)>, below: Below) -> String {
    match below {
        Below::Columns(_) => format!("{column}: {test}."),
        Below::Terminal if values.len() > MOST => format!("{test}: p-values are in the CSV."),
        Below::Terminal => {
            let values: Vec<String> = values.iter().map(|(label, p)| format!("{label} {}", p_equals(*p))).collect();
            format!("{test}: {}.", values.join("; "))
        }
    }
}

/// A warning, if the reference row is the best one and was not named beforehand.
fn chosen_after(compared: &[(&Row, &Comparison)]) -> Option<String> {
    let mut chosen: Vec<&str> = Vec::new();
    let tested = |comparison: &Comparison| comparison.bootstrap.is_some() || comparison.wilcoxon.is_some();
    for (_, comparison) in compared.iter().filter(|(_, comparison)| comparison.chosen_after && tested(comparison)) {
        if !chosen.contains(&comparison.with.as_str()) {
            chosen.push(&comparison.with);
        }
    }
    let why = "by the same scores that are tested. The tests do not correct for this choice: p is too small. Name a row in \
               compare_with to avoid it.";
    match chosen[..] {
        [] => None,
        [one] => Some(format!("{one} was chosen as the best row {why}")),
        _ => Some(format!("{} were chosen as the best rows of their images {why}", chosen.join(" and "))),
    }
}

fn p_equals(p: Option<f64>) -> String {
    match p {
        None => "p –".into(),
        Some(p) if p < 0.001 => format!("p {}", p_value(p)),
        Some(p) => format!("p = {}", p_value(p)),
    }
}
