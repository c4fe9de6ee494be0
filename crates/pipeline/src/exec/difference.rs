//! Differences between two outputs of a stage.

use crate::cache::{Digest, Output, Record, Store};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// A file that differs from the cached one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Path inside the stage's output.
    pub path: String,
    /// Hash of the cached file; `None` if there is none.
    pub cached: Option<Digest>,
    /// Hash of the recomputed file; `None` if there is none.
    pub anew: Option<Digest>,
    /// Largest absolute difference of two numbers, if both files are text and differ only in numbers.
    pub largest: Option<f64>,
}

/// The files in `folder` that differ from the output of `record` in `store`.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn differences(record: &Record, folder: &Path, store: &Store) -> Result<Vec<Difference>> {
    let anew = Output::of_folder(folder)?;
    let paths: BTreeSet<&String> = record.outputs.iter().chain(&anew).map(|output| &output.path).collect();
    let find = |outputs: &[Output], path: &str| outputs.iter().find(|output| output.path == path).cloned();
    let mut differences = Vec::new();
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
        differences.push(Difference { path: path.clone(), cached: digest(cached), anew: digest(made), largest });
    }
    Ok(differences)
}

/// Largest absolute difference of corresponding numbers; `None` if the texts differ in anything else.
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
    fn texts_that_differ_only_in_numbers_have_a_largest_difference() {
        let text = |miou: &str| format!("{{\"miou\": {miou}, \"seed\": 3}}");
        assert_eq!(largest_difference(&text("0.5"), &text("0.75")), Some(0.25));
        assert_eq!(largest_difference(&text("1e-3"), &text("1e-3")), Some(0.0));
        assert_eq!(largest_difference(&text("0.5"), &text("nothing")), None);
        assert_eq!(largest_difference("a,1", "b,1"), None);
    }
}
