//! `matssl-run completions SHELL`: what a shell needs to complete this program's command line.

use super::outcome::{Ending, Stop};
use super::output::print;
use clap::{Args, Command};
use clap_complete::Shell;

#[derive(Args)]
#[command(after_help = "For bash: matssl-run completions bash > ~/.local/share/bash-completion/completions/matssl-run")]
pub(super) struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

/// Prints the script for `command`, the whole command line.
pub(super) fn completions(args: &CompletionsArgs, command: &mut Command) -> Result<Ending, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "matssl-run", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(Ending::Done)
}
