//! Exit codes. Scripts rely on them: README lists them, and a test compares.

/// Everything that was asked for was done.
pub const DONE: u8 = 0;
/// The program itself has a fault.
pub const INTERNAL: u8 = 1;
/// The experiment file (or the command line, or the environment) is wrong.
pub const BAD_EXPERIMENT: u8 = 2;
/// A stage failed.
pub const STAGE_FAILED: u8 = 3;
/// An executor, device, data set or weight file was not found.
pub const NOT_THERE: u8 = 4;
/// The data is not what the experiment says.
pub const BAD_DATA: u8 = 5;
/// Ctrl-C or SIGTERM interrupted the run.
pub const INTERRUPTED: u8 = 130;
