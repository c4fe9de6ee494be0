//! The log on standard error: what the program does and why, for reports of errors.

use super::outcome::Stop;
use tracing_subscriber::EnvFilter;

/// Holds the filter; workers inherit it with the environment, and their log goes to the log file of their stage.
const VARIABLE: &str = "MATSSL_LOG";

/// Starts the log: `verbose` 1 shows debug messages of this program, more than 1 shows trace messages too. If it is 0,
/// `MATSSL_LOG` holds a filter (`debug`, `matssl_run::plan=trace`); without it nothing is logged. To be called before there
/// is a second thread.
///
/// # Errors
/// If `MATSSL_LOG` is no filter.
pub(super) fn start(verbose: u8) -> Result<(), Stop> {
    let filter = match verbose {
        0 => match std::env::var(VARIABLE) {
            Ok(filter) if !filter.trim().is_empty() => filter,
            Ok(_) | Err(std::env::VarError::NotPresent) => return Ok(()),
            Err(error) => return Err(Stop::bad_request(format!("{VARIABLE}: {error}"))),
        },
        // Of all our crates: a target is known by its beginning.
        1 => "matssl=debug".to_owned(),
        _ => "matssl=trace".to_owned(),
    };
    let parsed = EnvFilter::try_new(&filter);
    let parsed = parsed.map_err(|error| {
        Stop::bad_request(format!("{VARIABLE}: `{filter}`: {error}\nhelp: e.g. `debug`, or `matssl_run=debug`"))
    })?;
    if verbose > 0 {
        // SAFETY: this is the only thread so far, so no other reads the environment meanwhile.
        unsafe { std::env::set_var(VARIABLE, &filter) };
    }
    tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr).with_ansi(false).init();
    Ok(())
}

/// Whether anything is logged: progress bars would be drawn over it.
pub(super) fn is_on() -> bool {
    tracing::level_filters::LevelFilter::current() > tracing::level_filters::LevelFilter::OFF
}
