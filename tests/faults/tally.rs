//! What was done, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Harm {
    /// An exit code or a message other than what is promised.
    Ended,
    /// A stage that was finished is not, or ran again.
    Lost,
    /// An output that is not the undisturbed run's; a hit that is none.
    Wrong,
    /// A process or a private folder that outlived its run.
    Left,
    /// A run that did not end.
    Deadlock,
}

#[derive(Default)]
struct Row {
    done: usize,
    struck: usize,
    harms: [usize; 5],
}

/// Counts by fault.
#[derive(Default)]
pub(crate) struct Tally {
    rows: Mutex<(BTreeMap<String, Row>, Vec<String>)>,
}

impl Tally {
    /// A fault was done; it `struck` what was alive or needed.
    pub(crate) fn done(&self, fault: &str, struck: bool) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.0.entry(fault.to_owned()).or_default();
        row.done += 1;
        row.struck += usize::from(struck);
    }

    /// It did harm, in words.
    pub(crate) fn harm(&self, fault: &str, harm: Harm, what: String) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.0.entry(fault.to_owned()).or_default().harms[harm as usize] += 1;
        println!("{fault}: {harm:?}: {what}");
        rows.1.push(format!("{fault}: {harm:?}: {what}"));
    }

    /// How often faults struck whose names begin so.
    pub(crate) fn struck(&self, begins: &str) -> usize {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.0.iter().filter(|(name, _)| name.starts_with(begins)).map(|(_, row)| row.struck).sum()
    }

    /// As Markdown.
    pub(crate) fn table(&self) -> String {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text =
            "| fault | done | struck | wrong ends | stages lost | wrong outputs | left behind | deadlocks |\n\
                        |---|--:|--:|--:|--:|--:|--:|--:|\n"
                .to_owned();
        for (name, Row { done, struck, harms: [ended, lost, wrong, left, dead] }) in &rows.0 {
            let _ = writeln!(text, "| {name} | {done} | {struck} | {ended} | {lost} | {wrong} | {left} | {dead} |");
        }
        text
    }

    /// Fails if anything went wrong.
    #[track_caller]
    pub(crate) fn nothing_went_wrong(&self) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(rows.1.is_empty(), "{}", rows.1.join("\n"));
    }
}
