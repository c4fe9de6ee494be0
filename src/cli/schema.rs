//! `matssl-run schema`: the JSON Schema of experiment files.

use super::{Stop, print};
use crate::{exit_code, experiment, stage};
use clap::Args;

#[derive(Args)]
#[command(after_help = "Even Better TOML and taplo complete and check a file that starts with\n  \
                        #:schema ./experiment.schema.json\n\
                        once `matssl-run schema > experiment.schema.json` was run beside it.")]
pub(super) struct SchemaArgs {}

pub(super) fn schema(_: &SchemaArgs) -> Result<u8, Stop> {
    let schema = experiment::schema(&stage::vocabulary());
    print(&format!("{schema:#}\n"));
    Ok(exit_code::DONE)
}
