//! The command line: one file a verb, and the only place that prints.

mod arguments;
mod cache;
mod cancel;
mod command_line;
mod comparison_progress;
mod completions;
mod data;
mod device;
mod doctor;
mod explain;
mod export;
mod foreseen;
mod logging;
mod new;
mod open_experiment;
mod outcome;
mod output;
mod plan;
mod predict;
mod progress;
mod remote;
mod report;
mod run;
mod schema;
mod signals;
mod site;
mod status;
mod time_left;
mod wording;

pub use command_line::main;
