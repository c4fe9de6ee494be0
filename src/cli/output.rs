//! What the program prints: results on standard output, everything else on standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

/// Why results were lost on their way to standard output.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes results to standard output. A reader that has gone away (`| head`) is no error; for others see [`lost`].
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first one counts.
        let _ = LOST.set(error);
    }
}

/// The message that results could not be written to standard output, if so.
pub(super) fn lost() -> Option<String> {
    LOST.get().map(|error| format!("error: cannot write to standard output: {error}"))
}

/// Writes a line to standard error. A closed terminal is no error: a training goes on without it.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Asks a question on standard error. `None` if standard input ends, or once `gives_up`.
pub(super) fn ask(question: &str, gives_up: &dyn Fn() -> bool) -> Option<String> {
    eprint!("{question}");
    while !gives_up() {
        let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
        // SAFETY: plain system call on one valid entry.
        if unsafe { libc::poll(&raw mut input, 1, 200) } > 0 {
            let mut line = String::new();
            return io::stdin().read_line(&mut line).ok().filter(|&bytes| bytes > 0).map(|_| line);
        }
    }
    eprintln!();
    None
}

/// Whether messages may have colours: on a terminal, unless `NO_COLOR` is set.
pub(super) fn colour_on_stderr() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stderr().is_terminal()
}
