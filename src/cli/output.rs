//! What the program prints: results on standard output, everything else on standard error.

use std::io::{IsTerminal, Write};

/// Writes results to standard output. A reader that has gone away (`| head`) is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error. A closed terminal is no error: a training goes on without it.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether messages may have colours: on a terminal, unless `NO_COLOR` is set.
pub(super) fn colour_on_stderr() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}
