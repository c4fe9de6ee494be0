//! Names of baselines.

use super::row::Row;

/// Adds the set of images to the names of baselines, if there are several sets. A set is named by the common beginning of its
/// rows' labels, if no label of another set begins so, and else by its first row.
pub(super) fn name_images(rows: &mut [Row]) {
    let groups: Vec<Option<usize>> = rows.iter().filter(|row| row.is_baseline()).map(|row| row.group).collect();
    let labels_of = |rows: &[Row], group: Option<usize>| -> Vec<String> {
        let own = rows.iter().filter(|row| row.group == group && !row.is_baseline());
        own.map(|row| row.label.clone()).collect()
    };
    let labels: Vec<Vec<String>> = groups.iter().map(|&group| labels_of(rows, group)).collect();
    let baselines: Vec<usize> = (0..rows.len()).filter(|&index| rows[index].is_baseline()).collect();
    if baselines.len() < 2 {
        return;
    }
    for (number, &index) in baselines.iter().enumerate() {
        let others: Vec<&Vec<String>> = (0..labels.len()).filter(|&o| o != number).map(|o| &labels[o]).collect();
        let shared = beginnings(&labels[number])
            .into_iter()
            .find(|beginning| others.iter().all(|labels| !labels.iter().any(|label| begins_with(label, beginning))));
        let images = match (shared, labels[number].first()) {
            (Some(shared), _) => shared,
            (None, Some(first)) => format!("images of {first}"),
            (None, None) => continue,
        };
        rows[index].label += &format!(", {images}");
    }
}

/// The common beginnings of `labels`, which end with a word; the shortest first.
fn beginnings(labels: &[String]) -> Vec<String> {
    let Some(first) = labels.first() else { return Vec::new() };
    let letters: Vec<char> = first.chars().collect();
    let cuts = (1..letters.len()).filter(|&at| letters[at - 1].is_alphanumeric() && !letters[at].is_alphanumeric());
    let beginnings = cuts.map(|at| letters[..at].iter().collect::<String>());
    beginnings.filter(|beginning| labels.iter().all(|label| begins_with(label, beginning))).collect()
}

/// Whether `label` begins with the whole words of `beginning`: `EBC-10` does not begin with `EBC-1`.
fn begins_with(label: &str, beginning: &str) -> bool {
    label.strip_prefix(beginning).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}
