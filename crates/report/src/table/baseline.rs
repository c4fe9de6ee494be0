//! What the baselines are called.

use super::Row;

/// Where there are baselines of several sets of images, each says whose it is: by what the labels of the rows that were
/// scored on the same images begin with and others do not, else by the first of these rows.
pub(super) fn tell_apart(rows: &mut [Row]) {
    let groups: Vec<Option<usize>> = rows.iter().filter(|row| row.is_baseline()).map(|row| row.group).collect();
    let labels_of = |rows: &[Row], group: Option<usize>| -> Vec<String> {
        let own = rows.iter().filter(|row| row.group == group && !row.is_baseline());
        own.map(|row| row.label.clone()).collect()
    };
    let labels: Vec<Vec<String>> = groups.iter().map(|&group| labels_of(rows, group)).collect();
    let baselines: Vec<usize> = (0..rows.len()).filter(|&place| rows[place].is_baseline()).collect();
    if baselines.len() < 2 {
        return;
    }
    for (number, &place) in baselines.iter().enumerate() {
        let others: Vec<&Vec<String>> = (0..labels.len()).filter(|&o| o != number).map(|o| &labels[o]).collect();
        let shared = beginnings(&labels[number])
            .into_iter()
            .find(|beginning| others.iter().all(|labels| !labels.iter().any(|label| begins_with(label, beginning))));
        let whose = match (shared, labels[number].first()) {
            (Some(shared), _) => shared,
            (None, Some(first)) => format!("images of {first}"),
            (None, None) => continue,
        };
        rows[place].label += &format!(", {whose}");
    }
}

/// What all of `labels` begin with, cut between words, the shortest first.
fn beginnings(labels: &[String]) -> Vec<String> {
    let Some(first) = labels.first() else { return Vec::new() };
    let letters: Vec<char> = first.chars().collect();
    let cuts = (1..letters.len()).filter(|&at| letters[at - 1].is_alphanumeric() && !letters[at].is_alphanumeric());
    let beginnings = cuts.map(|at| letters[..at].iter().collect::<String>());
    beginnings.filter(|beginning| labels.iter().all(|label| begins_with(label, beginning))).collect()
}

/// With a whole word: `EBC-1` is not the beginning of `EBC-10`.
fn begins_with(label: &str, beginning: &str) -> bool {
    label.strip_prefix(beginning).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}
