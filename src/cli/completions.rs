//! `matssl-run completions SHELL`: what a shell needs to complete this program's command line.

use super::{Cli, Stop, print};
use crate::exit_code;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Args)]
#[command(after_help = "For bash: matssl-run completions bash > ~/.local/share/bash-completion/completions/matssl-run")]
pub(super) struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "matssl-run", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(exit_code::DONE)
}
