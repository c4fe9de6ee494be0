//! The texts that spans point into: first the extended files, from the last base on; then the file itself; then each `--set`
//! flag.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// Maximum size of an experiment file. Experiments have a few kilobytes: a larger file is the wrong one.
const MOST_BYTES: u64 = 4 << 20;

/// Reads the file as text, without a byte order mark.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let message = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_string(),
        _ => error.to_string(),
    };
    let file = std::fs::File::open(path).map_err(message)?;
    if file.metadata().is_ok_and(|data| data.is_dir()) {
        return Err("it is a folder, not an experiment file".into());
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {} MiB, so it is not an experiment file", MOST_BYTES >> 20));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        format!("it is not UTF-8 text: byte 0x{:02x} at line {line}, column {column}", error.as_bytes()[valid])
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

/// Reads a file that another one names. Never a device or a pipe: reading it may not end.
pub(super) fn read_base(path: &Path) -> Result<String, String> {
    match std::fs::metadata(path) {
        Ok(data) if !data.is_file() && !data.is_dir() => Err("it is not a file".into()),
        _ => read(path),
    }
}

/// One text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
    /// Where it starts in the common count of bytes.
    start: usize,
}

/// All texts. A span counts bytes through all of them, so that a value from a flag has a span too.
#[derive(Debug)]
pub(super) struct Sources {
    list: Vec<Source>,
    /// Number of files; the rest are flags.
    files: usize,
}

/// The start of a flag's text, so that messages show it as it was typed.
const FLAG: &str = "--set ";

impl Sources {
    /// The texts of `files` (name and text, the experiment's own last) and of `flags`.
    pub(super) fn new(files: Vec<(String, String)>, flags: &[String]) -> Self {
        let count = files.len();
        let flags = flags.iter().map(|flag| ("command line".to_string(), format!("{FLAG}{flag}")));
        let mut list: Vec<Source> = Vec::with_capacity(count + flags.len());
        for (name, text) in files.into_iter().chain(flags) {
            // One byte between texts: an empty span at the end of one is not at the start of the next.
            let start = list.last().map_or(0, |last| last.start + last.text.len() + 1);
            list.push(Source { name, text, start });
        }
        Sources { list, files: count }
    }

    /// The text of each file, and where it starts; the experiment's own is the last.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.list[..self.files].iter().map(|source| (source.text.as_str(), source.start))
    }

    /// The experiment's own text, and where it starts.
    pub(super) fn own(&self) -> (&str, usize) {
        self.files().last().unwrap_or_default()
    }

    /// Whether the experiment's own file extends another.
    pub(super) fn extends(&self) -> bool {
        self.files > 1
    }

    /// Each flag's text after `--set `, and where that starts.
    pub(super) fn flags(&self) -> impl Iterator<Item = (&str, usize)> {
        self.list[self.files..].iter().map(|source| (&source.text[FLAG.len()..], source.start + FLAG.len()))
    }

    /// The text that `span` points into, and the span in it, cut to whole characters.
    pub(super) fn locate(&self, span: &Range<usize>) -> (&Source, Range<usize>) {
        let after = self.list.partition_point(|source| source.start <= span.start);
        let source = &self.list[after.saturating_sub(1)];
        let start = floor(&source.text, span.start - source.start);
        let end = floor(&source.text, span.end.saturating_sub(source.start)).max(start);
        (source, start..end)
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
