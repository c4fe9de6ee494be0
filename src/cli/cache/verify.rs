//! `matssl-run cache verify`: reads every record and file.

use super::super::outcome::{Ending, Stop};
use super::super::output::{print, say};
use super::super::wording::plural;
use super::folder::Folder;
use crate::cache::{self, Damage, Fault, Verified};
use crate::machine::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fmt::Write;

/// Maximum number of outputs that are listed for a damaged file.
const MOST_NAMES: usize = 5;

#[derive(Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    folder: Folder,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn verify(args: &VerifyArgs) -> Result<Ending, Stop> {
    let store = args.folder.open()?;
    // It draws nothing if standard error is no terminal.
    let bar = if args.quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let template = "{bar:30} {bytes} of {total_bytes}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let verified = cache::verify(&store, &|done, all| {
        bar.set_length(all);
        // Several threads report; the bar must not go back.
        if done > bar.position() {
            bar.set_position(done);
        }
    })?;
    bar.finish_and_clear();
    if args.json {
        print(&format!("{:#}\n", as_json(&verified)));
    } else {
        print(&as_text(&verified));
        let moved = verified.damaged.iter().filter(|damage| damage.moved_to.is_some()).count();
        if !args.quiet && moved > 0 {
            say(&format!(
                "damaged files were moved to {}; the next run makes what it needs of them again",
                store.root().join("damaged").display()
            ));
        }
    }
    Ok(if verified.damaged.is_empty() { Ending::Done } else { Ending::Failed })
}

fn as_text(verified: &Verified) -> String {
    let mut text = String::new();
    for Damage { file, fault, stages, moved_to } in &verified.damaged {
        let _ = writeln!(text, "damaged: {} {fault}", file.display());
        for stage in stages.iter().take(MOST_NAMES) {
            let _ = writeln!(text, "  of {stage}");
        }
        if stages.len() > MOST_NAMES {
            let _ = writeln!(text, "  and {} more", stages.len() - MOST_NAMES);
        }
        if moved_to.is_none() && *fault != Fault::Missing {
            text += "  could not be moved away\n";
        }
    }
    let Verified { records, foreign, objects, damaged, unnamed, leftovers } = verified;
    let _ = writeln!(
        text,
        "{}, {} ({}) read: {}",
        plural(*records, "record"),
        plural(objects.count, "file"),
        Bytes(objects.bytes),
        if damaged.is_empty() { "all intact".to_owned() } else { format!("{} damaged", damaged.len()) }
    );
    if *foreign > 0 {
        let _ = writeln!(text, "{} of another version of this program not checked", plural(*foreign, "record"));
    }
    for (amount, what) in [(unnamed, "that no record names"), (leftovers, "left by processes that ended")] {
        if amount.count > 0 {
            let _ = writeln!(
                text,
                "{} ({}) {what}: `matssl-run cache gc` deletes them when they are old enough",
                plural(amount.count, "file"),
                Bytes(amount.bytes)
            );
        }
    }
    text
}

fn as_json(verified: &Verified) -> serde_json::Value {
    let Verified { records, foreign, objects, damaged, unnamed, leftovers } = verified;
    let damaged: Vec<_> = damaged
        .iter()
        .map(|Damage { file, fault, stages, moved_to }| {
            json!({ "file": file, "what": fault.to_string(), "stages": stages, "aside": moved_to })
        })
        .collect();
    json!({
        "records": records,
        "records_of_other_versions": foreign,
        "objects": objects.count,
        "bytes": objects.bytes,
        "damaged": damaged,
        "unnamed": { "files": unnamed.count, "bytes": unnamed.bytes },
        "leftovers": { "files": leftovers.count, "bytes": leftovers.bytes },
    })
}
