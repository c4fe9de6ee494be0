//! The parity table.

use crate::part;
use crate::section::{Held, Section, together};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

const HEADER: &str = "| operation or network | tensors | worst float64 error | float32 error ÷ PyTorch's: worst | median | \
                      what is held | part of what is allowed |\n| --- | ---: | ---: | ---: | ---: | --- | ---: |\n";

/// Failed cases that have a line each; the section's test names all of them.
const FAILED: usize = 3;

/// The lines of a section: its figures, what failed, what was left out.
fn rows(section: &Section) -> String {
    let (name, mut text) = (&section.name, String::new());
    if !section.tensors.is_empty() {
        let (count, float64) = (section.tensors.len(), section.float64());
        let (worst, median, share) = (section.worst(), section.median(), section.share());
        let rest = match section.held {
            Held::Each => format!("{worst:.2} | {median:.2} | each | {share:.2}"),
            Held::Median => format!("{worst:.2} | {median:.2} | the median | {share:.2}"),
            Held::Together(_) => format!("{worst:.2} | {median:.2} | together | "),
            Held::Float64 => "– | – | float64 only | ".to_owned(),
        };
        let _ = writeln!(text, "| {name} | {count} | {float64:.1e} | {rest} |");
    }
    for why in section.failed.iter().take(FAILED) {
        let _ = writeln!(text, "| {name} | failed: {} | | | | | |", why.replace('|', "/"));
    }
    if let Some(more @ 1..) = section.failed.len().checked_sub(FAILED) {
        let _ = writeln!(text, "| {name} | failed: {more} more cases | | | | | |");
    }
    if section.left_out > 0 {
        let count = section.left_out;
        let _ = writeln!(text, "| {name} | left out on a GPU: {count} cases of shapes that no network has | | | | | |");
    }
    text
}

/// The lines of what is held together, in all of `sections`.
fn last_rows(sections: &[Section]) -> String {
    let (mut text, mut shares) = (String::new(), together(sections, Section::share));
    for (group, ratio) in together(sections, Section::median) {
        let share = shares.remove(group).unwrap_or(f64::NAN);
        let _ = writeln!(text, "| all networks together, {group} | | | | {ratio:.2} | the median | {share:.2} |");
    }
    text
}

/// The table as a file that grows.
pub(crate) struct Table(Mutex<File>);

impl Table {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(HEADER.as_bytes())?;
        Ok(Table(Mutex::new(file)))
    }

    /// Writes the lines of a section: when this returns, the system has them.
    pub(crate) fn append(&self, section: &Section) {
        self.write(&rows(section));
    }

    fn write(&self, text: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.flush()) {
            eprintln!("the table cannot be written: {error}");
        }
    }
}

/// The file that `MATSSL_PARITY_TABLE` names, or why it cannot be written.
static WRITTEN: LazyLock<Option<Result<Table, String>>> = LazyLock::new(|| {
    let path = std::env::var_os("MATSSL_PARITY_TABLE")?;
    Some(Table::create(path.as_ref()).map_err(|error| format!("{}: {error}", path.display())))
});

/// The table that is written, if one is.
pub(crate) fn written() -> Option<&'static Table> {
    WRITTEN.as_ref()?.as_ref().ok()
}

/// Prints the table, and ends the one that `MATSSL_PARITY_TABLE` names.
#[test]
fn table() {
    let mut sections = Vec::new();
    for part in part::all() {
        sections.extend_from_slice(part.sections());
    }
    let (lines, last) = (sections.iter().map(rows).collect::<String>(), last_rows(&sections));
    println!("{HEADER}{lines}{last}");
    match &*WRITTEN {
        Some(Ok(table)) => table.write(&last),
        Some(Err(error)) => panic!("{error}"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Measured;

    #[test]
    fn every_row_has_the_headers_columns() {
        let tensor = Measured { name: "y".into(), float64: 1e-15, ours: 3e-7, theirs: 1e-7, limit: 4.0 };
        let of = |held| Section::of::<String>("it", held, || Ok(vec![tensor.clone()]));
        let mut sections = [Held::Each, Held::Median, Held::Together("SGD"), Held::Float64].map(of);
        sections[0].failed = ["a | b", "c", "d", "e", "f"].map(str::to_owned).into();
        sections[0].left_out = 7;
        let text = format!("{HEADER}{}{}", sections.iter().map(rows).collect::<String>(), last_rows(&sections));
        assert_eq!(text.lines().count(), 2 + 4 + 4 + 1 + 1);
        assert!(text.lines().all(|line| line.matches('|').count() == 8), "{text}");
        assert!(text.contains("| it | 1 | 1.0e-15 | 3.00 | 3.00 | each | 0.75 |"), "{text}");
        for words in ["failed: a / b |", "failed: d |", "failed: 2 more cases", "left out on a GPU: 7 cases"] {
            assert!(text.contains(words), "{text}");
        }
        assert!(text.contains("| all networks together, SGD | | | | 3.00 | the median | 0.75 |"), "{text}");
    }
}
