//! The end of a log.

use std::path::Path;

/// The last lines of a log that are not blank.
pub(super) fn last_lines(log: &Path) -> Vec<String> {
    /// Enough for an exception and its origin.
    const MOST: usize = 12;
    /// Bytes read at the end of the log.
    const BYTES: u64 = 16 << 10;
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = std::fs::File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(MOST)..].iter().map(|line| (*line).to_owned()).collect()
}
