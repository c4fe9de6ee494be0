//! Exit codes: a promise to scripts (README lists them, a test holds the list).

/// Everything that was asked for is done.
pub const DONE: u8 = 0;
/// A fault of the program itself.
pub const INTERNAL: u8 = 1;
/// The experiment file (or the command line, or the environment) is wrong.
pub const BAD_EXPERIMENT: u8 = 2;
/// A stage failed.
pub const STAGE_FAILED: u8 = 3;
/// An executor, device, data set or weight file is not there.
pub const NOT_THERE: u8 = 4;
/// The data is not what the experiment says.
pub const BAD_DATA: u8 = 5;
/// Interrupted by Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;
