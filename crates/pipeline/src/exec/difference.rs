//! What differs between two outputs of a stage.

use crate::cache::{Digest, Output, Record, Store};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// A file that is not what the cache has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Path inside the stage's output.
    pub path: String,
    /// In the cache; `None` if it is not there.
    pub cached: Option<Digest>,
    /// Made anew; `None` if it was not.
    pub anew: Option<Digest>,
    /// If both are texts that differ in nothing but numbers: the largest difference between two of them.
    pub largest: Option<f64>,
}

/// The files in which `folder` differs from what `record` has in `store`.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn differences(record: &Record, folder: &Path, store: &Store) -> Result<Vec<Difference>> {
    let anew = Output::of_folder(folder)?;
    let paths: BTreeSet<&String> = record.outputs.iter().chain(&anew).map(|output| &output.path).collect();
    let find = |outputs: &[Output], path: &str| outputs.iter().find(|output| output.path == path).cloned();
    let mut found = Vec::new();
    for path in paths {
        let (cached, made) = (find(&record.outputs, path), find(&anew, path));
        if cached.as_ref().map(|output| output.digest) == made.as_ref().map(|output| output.digest) {
            continue;
        }
        let largest = cached.as_ref().zip(made.as_ref()).and_then(|(cached, _)| {
            let before = std::fs::read_to_string(store.object(cached.digest)).ok()?;
            largest_difference(&before, &std::fs::read_to_string(folder.join(path)).ok()?)
        });
        let digest = |output: Option<Output>| output.map(|output| output.digest);
        found.push(Difference { path: path.clone(), cached: digest(cached), anew: digest(made), largest });
    }
    Ok(found)
}

/// The largest difference between numbers at the same place of two texts that are equal but for their numbers.
fn largest_difference(a: &str, b: &str) -> Option<f64> {
    let words = |text: &str| -> Vec<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        let mut words = vec![String::new()];
        let mut inside = false;
        for c in text.chars() {
            if is_word(c) != inside {
                words.push(String::new());
                inside = !inside;
            }
            words.last_mut().expect("never empty").push(c);
        }
        words
    };
    let (a, b) = (words(a), words(b));
    if a.len() != b.len() {
        return None;
    }
    let mut largest = 0.0_f64;
    for (a, b) in a.iter().zip(&b).filter(|(a, b)| a != b) {
        largest = largest.max((a.parse::<f64>().ok()? - b.parse::<f64>().ok()?).abs());
    }
    Some(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_numbers_only_are_told_by_how_much() {
        let text = |miou: &str| format!("{{\"miou\": {miou}, \"seed\": 3}}");
        assert_eq!(largest_difference(&text("0.5"), &text("0.75")), Some(0.25));
        assert_eq!(largest_difference(&text("1e-3"), &text("1e-3")), Some(0.0));
        assert_eq!(largest_difference(&text("0.5"), &text("nothing")), None);
        assert_eq!(largest_difference("a,1", "b,1"), None);
    }
}
