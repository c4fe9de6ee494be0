//! `matssl-run schema`: the JSON Schema of experiment files, or of a run's events.

use super::outcome::{Ending, Stop};
use super::output::print;
use crate::{events, experiment, stage};
use clap::Args;

#[derive(Args)]
#[command(after_help = "Even Better TOML and taplo complete and check a file that starts with\n  \
                        #:schema ./experiment.schema.json\n\
                        after `matssl-run schema > experiment.schema.json` in its folder.")]
pub(super) struct SchemaArgs {
    /// Print the schema of a line of `runs/<run>/events.jsonl` in the cache instead.
    #[arg(long)]
    events: bool,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<Ending, Stop> {
    let schema = if args.events { events::event_schema() } else { experiment::schema(stage::KINDS) };
    print(&format!("{schema:#}\n"));
    Ok(Ending::Done)
}
