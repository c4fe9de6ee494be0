//! `matssl-run schema`: the JSON Schema of experiment files, or of a run's events.

use super::{Stop, print};
use crate::{events, exit_code, experiment, stage};
use clap::Args;

#[derive(Args)]
#[command(after_help = "Even Better TOML and taplo complete and check a file that starts with\n  \
                        #:schema ./experiment.schema.json\n\
                        once `matssl-run schema > experiment.schema.json` was run beside it.")]
pub(super) struct SchemaArgs {
    /// Of a line of `runs/<run>/events.jsonl` in the cache instead.
    #[arg(long)]
    events: bool,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8, Stop> {
    let schema = if args.events { events::event_schema() } else { experiment::schema(stage::KINDS) };
    print(&format!("{schema:#}\n"));
    Ok(exit_code::DONE)
}
