//! Many errors in few lines: files that have the same fault are counted, and a few of them are named.

use std::collections::BTreeSet;
use std::path::Path;

/// Largest number of lines in one message.
const LISTED: usize = 20;
/// Number of files that are named for one fault.
const NAMED: usize = 3;

/// One fault of one file.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) path: &'a Path,
    /// What follows the path: ` at column 3, row 7`, or nothing.
    pub(super) place: &'a str,
    /// What is wrong, in words that all files with this fault share.
    pub(super) problem: &'a str,
    /// With `masks`, many files are said as "`problem` in 23 masks (…)"; without, as "23 files (…): `problem`".
    pub(super) noun: Option<&'static str>,
    /// How to correct it.
    pub(super) cure: &'a str,
    /// The message if no other file has this fault.
    pub(super) alone: String,
}

impl Fault<'_> {
    fn is_as(&self, other: &Fault) -> bool {
        (self.problem, self.noun, self.cure) == (other.problem, other.noun, other.cure)
    }
}

/// The faults in words: one line if all are the same, otherwise the number of files and a line for each fault.
pub(super) fn in_words(faults: &[Fault]) -> String {
    let mut groups: Vec<Vec<&Fault>> = Vec::new();
    for fault in faults {
        match groups.iter_mut().find(|group| group[0].is_as(fault)) {
            Some(group) => group.push(fault),
            None => groups.push(vec![fault]),
        }
    }
    if let [only] = &*groups {
        return line(only);
    }
    let files: BTreeSet<&Path> = faults.iter().map(|fault| fault.path).collect();
    let count = match files.len() {
        1 => "1 file".to_owned(),
        more => format!("{more} files"),
    };
    let mut lines = vec![format!("{count} of the data set cannot be used:")];
    lines.extend(groups.iter().take(LISTED).map(|group| format!("  {}", line(group))));
    if groups.len() > LISTED {
        lines.push(format!("  … and {} more", groups.len() - LISTED));
    }
    lines.join("\n")
}

fn line(group: &[&Fault]) -> String {
    let first = group[0];
    let count = group.len();
    if count == 1 {
        return first.alone.clone();
    }
    let mut named: Vec<String> = group.iter().take(NAMED).map(|fault| name(fault, first)).collect();
    if count > NAMED {
        named.push("…".into());
    }
    let (named, problem, cure) = (named.join(", "), first.problem, first.cure);
    match first.noun {
        Some(noun) => format!("{problem} in {count} {noun} ({named}); {cure}"),
        None => format!("{count} files ({named}): {problem}; {cure}"),
    }
}

/// The path of a file and the place in it; without the folder if `first`, which was named before, is in the same one, and
/// only the place if `first` is in the same file.
fn name(fault: &Fault, first: &Fault) -> String {
    let is_first = std::ptr::eq(fault, first);
    let place = fault.place.trim_start_matches([':', ' ']);
    match fault.path.file_name() {
        Some(_) if !is_first && fault.path == first.path && !place.is_empty() => place.to_owned(),
        Some(name) if !is_first && fault.path.parent() == first.path.parent() => {
            format!("{}{}", name.display(), fault.place)
        }
        _ => format!("{}{}", fault.path.display(), fault.place),
    }
}
