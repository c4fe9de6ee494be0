//! `matssl-run cache gc --remote`: deletes from the shared cache what no experiment listed there needs.

use super::super::outcome::{Ending, Stop};
use super::super::output::print;
use super::super::remote::RemoteArgs;
use super::super::wording::plural;
use super::gc::GcArgs;
use crate::machine::Bytes;
use matssl_remote::{GcRules, RemoteSweep};
use serde_json::json;
use std::time::Duration;

/// The grace period if none is given.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) fn gc(args: &GcArgs, url: &str) -> Result<Ending, Stop> {
    let shared = RemoteArgs::at(url).required(true)?;
    let older_than = args.older_than.unwrap_or(MONTH);
    let swept = shared.gc(&GcRules { older_than, forget: args.forget.clone(), delete: args.yes })?;
    print(&if args.json { format!("{:#}\n", as_json(&swept, args.yes)) } else { as_text(&swept, args.yes) });
    Ok(Ending::Done)
}

fn as_text(swept: &RemoteSweep, done: bool) -> String {
    let RemoteSweep { lists, records, objects, leftovers, kept, damaged } = swept;
    let (verb, how) = if done { ("deleted", "") } else { ("would delete", "; add --yes to delete") };
    let files = format!("{} ({})", plural(objects.count, "file"), Bytes(objects.bytes));
    let mut text =
        format!("{verb} {} and {files}, {} kept{how}\n", plural(*records, "record"), plural(*kept, "record"));
    if leftovers.count > 0 {
        text +=
            &format!("{} ({}) that killed pushes have left\n", plural(leftovers.count, "file"), Bytes(leftovers.bytes));
    }
    if *lists > 0 {
        text += &format!("{} of experiments no longer count\n", plural(*lists, "list"));
    }
    if *damaged > 0 {
        text += &format!("{} damaged; a push of its experiment replaces it\n", plural(*damaged, "record"));
    }
    text
}

fn as_json(swept: &RemoteSweep, done: bool) -> serde_json::Value {
    let RemoteSweep { lists, records, objects, leftovers, kept, damaged } = swept;
    json!({
        "done": done,
        "lists": lists,
        "records": records,
        "objects": { "count": objects.count, "bytes": objects.bytes },
        "leftovers": { "count": leftovers.count, "bytes": leftovers.bytes },
        "kept": kept,
        "damaged": damaged,
    })
}
