//! `matssl-run cache ls`: lists the records of finished stages.

use super::super::outcome::{Ending, Stop};
use super::super::output::print;
use super::super::wording::{plural, utc};
use super::folder::Folder;
use crate::cache::Record;
use crate::machine::Bytes;
use clap::Args;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

#[derive(Args)]
pub(super) struct LsArgs {
    /// List only records that were made for, or are used by, these experiments.
    #[arg(value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    #[command(flatten)]
    folder: Folder,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn ls(args: &LsArgs) -> Result<Ending, Stop> {
    let store = args.folder.open()?;
    let users = store.users()?;
    let none = Vec::new();
    let mut records = store.records()?;
    if !args.experiments.is_empty() {
        records.retain(|record| {
            let used_by = users.get(&record.key).unwrap_or(&none);
            let is_of = |name: &String| experiment(record) == name || used_by.contains(name);
            args.experiments.iter().any(is_of)
        });
    }
    records.sort_by(|a, b| b.made.finished_at.cmp(&a.made.finished_at).then_with(|| a.made.stage.cmp(&b.made.stage)));
    // A file that several records name takes space once.
    let objects: BTreeMap<_, u64> =
        records.iter().flat_map(|record| &record.outputs).map(|output| (output.digest, output.size)).collect();
    let on_disk: u64 = objects.values().sum();
    if args.json {
        let entries: Vec<_> = records
            .iter()
            .map(|record| {
                json!({
                    "key": record.key,
                    "kind": record.material.kind,
                    "stage": record.made.stage,
                    "bytes": size(record),
                    "files": record.outputs.len(),
                    "finished_at": record.made.finished_at,
                    "seconds": record.made.seconds,
                    "host": record.made.host,
                    "device": record.made.device,
                    "used_by": users.get(&record.key).unwrap_or(&none),
                })
            })
            .collect();
        let all = json!({ "records": entries, "bytes": on_disk, "objects": objects.len() });
        print(&format!("{all:#}\n"));
        return Ok(Ending::Done);
    }
    let width = |text: &dyn Fn(&Record) -> usize| records.iter().map(text).max().unwrap_or(0).min(60);
    let stages = width(&|record| record.made.stage.chars().count());
    let kinds = width(&|record| record.material.kind.len());
    let mut text = String::new();
    for record in &records {
        // The name shows the experiment that it was made for.
        let others = users.get(&record.key).unwrap_or(&none).iter().filter(|name| *name != experiment(record));
        let others: Vec<&str> = others.map(String::as_str).collect();
        let line = format!(
            "{}  {:>10}  {:<kinds$}  {:<stages$}  {}  {}",
            utc(record.made.finished_at),
            Bytes(size(record)).to_string(),
            record.material.kind,
            record.made.stage,
            record.key.0.short(),
            if others.is_empty() { String::new() } else { format!("also {}", others.join(", ")) }
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let experiments: BTreeSet<&str> = records.iter().map(experiment).collect();
    let _ = writeln!(
        text,
        "{} of {}, {} in {}",
        plural(records.len(), "record"),
        plural(experiments.len(), "experiment"),
        Bytes(on_disk),
        plural(objects.len(), "file")
    );
    print(&text);
    Ok(Ending::Done)
}

/// The experiment that the record was made for.
fn experiment(record: &Record) -> &str {
    record.made.stage.split_once('/').map_or("", |(experiment, _)| experiment)
}

fn size(record: &Record) -> u64 {
    record.outputs.iter().map(|output| output.size).sum()
}
