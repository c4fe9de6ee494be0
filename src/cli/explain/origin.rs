//! `--cell` and `--point`: from a number to its stages, seeds, settings and data.

use super::super::wording::{plural, utc};
use super::provenance;
use crate::cache::Store;
use crate::lineage;
use crate::lineage::{StageTrace, Trace};
use crate::metrics::Summary;
use crate::plan::Plan;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Finds the cell `TABLE:ROW,COLUMN`. A label may contain commas, a column does not.
pub(super) fn cell(plan: &Plan, store: &Store, text: &str) -> Result<Trace, String> {
    let (rest, column) = text.rsplit_once(',').ok_or("expected TABLE:ROW,COLUMN, e.g. table4:MatSSL,mIoU")?;
    // A label may also contain a colon.
    let (table, row) = rest.split_once(':').map_or((None, rest), |(table, row)| (Some(table), row));
    match lineage::cell(plan, store, table, row, column) {
        Err(_) if lineage::cell(plan, store, None, rest, column).is_ok() => {
            lineage::cell(plan, store, None, rest, column)
        }
        found => found,
    }
}

/// Finds the point `FIGURE:SERIES,EPOCH`.
pub(super) fn point(plan: &Plan, store: &Store, text: &str) -> Result<Trace, String> {
    let (rest, epoch) = text.rsplit_once(',').ok_or("expected FIGURE:SERIES,EPOCH, e.g. fig3:MatSSL,12")?;
    let epoch = epoch.trim().parse().map_err(|_| format!("`{}` is not an epoch", epoch.trim()))?;
    let (figure, series) = rest.split_once(':').map_or((None, rest), |(figure, series)| (Some(figure), series));
    match lineage::point(plan, store, figure, series, epoch) {
        Err(_) if lineage::point(plan, store, None, rest, epoch).is_ok() => {
            lineage::point(plan, store, None, rest, epoch)
        }
        found => found,
    }
}

pub(super) fn as_text(trace: &Trace, full: bool) -> String {
    let number = |value: f64| if trace.unit == "%" { format!("{value:.2} %") } else { format!("{value}") };
    let mut text = match trace.value {
        None => format!("{}: no value yet\n", trace.what),
        Some(Summary { mean, std, n }) => {
            let std = std.map(|std| format!(" ± {}", number(std))).unwrap_or_default();
            let seeds = if n == 1 { String::new() } else { format!(" over {n} seeds") };
            format!("{}: {}{std}{seeds}\n", trace.what, number(mean))
        }
    };
    for sample in &trace.samples {
        let value = sample.value.map_or_else(|| "not made yet".to_owned(), number);
        let seed = sample.seed.map_or_else(|| "no seed".to_owned(), |seed| format!("seed {seed}"));
        let _ = writeln!(text, "  {seed}: {value}  from {}", sample.stage);
    }
    let stages: BTreeMap<&str, &StageTrace> = trace.stages.iter().map(|stage| (stage.stage.as_str(), stage)).collect();
    // What all samples depend on is listed once.
    let mut shared: BTreeSet<&str> = stages.keys().copied().collect();
    if trace.samples.len() > 1 {
        for sample in &trace.samples {
            let own: BTreeSet<&str> = sample.rests_on.iter().map(String::as_str).collect();
            shared.retain(|stage| own.contains(stage));
        }
        for sample in &trace.samples {
            let _ = writeln!(text, "\n{} depends on", sample.stage);
            for stage in sample.rests_on.iter().filter(|stage| !shared.contains(stage.as_str())) {
                if let Some(stage) = stages.get(stage.as_str()) {
                    write_stage(&mut text, stage, full);
                }
            }
        }
    }
    if !shared.is_empty() {
        text += if trace.samples.len() > 1 { "\nall of them depend on\n" } else { "\nit depends on\n" };
        for stage in trace.stages.iter().filter(|stage| shared.contains(stage.stage.as_str())) {
            write_stage(&mut text, stage, full);
        }
    }
    text
}

fn write_stage(text: &mut String, stage: &StageTrace, full: bool) {
    let key = stage.key.map(|key| format!(", key {}", key.0.short())).unwrap_or_default();
    let state = if stage.made.is_some() { String::new() } else { format!(" ({})", stage.state) };
    let _ = writeln!(text, "  {}: {}{key}{state}", stage.stage, stage.kind);
    if let Some(made) = &stage.made {
        let device = format!("{}, {}", made.device, plural(made.threads, "thread"));
        let (program, host) = (&made.program, &made.host);
        let when = utc(made.finished_at);
        let _ = writeln!(text, "    made {when} on {host} ({device}) in {:.1} s by {program}", made.seconds);
    }
    for (role, input) in &stage.inputs {
        let _ = writeln!(text, "    {role} ← {input}");
    }
    if let Some(files) = stage.files {
        let _ = writeln!(text, "    {} files, content {}", files.count, files.digest.short());
    }
    if full {
        let mut leaves = Vec::new();
        flatten("", &stage.params, &mut leaves);
        for (path, value) in leaves {
            let _ = writeln!(text, "    {path} = {value}");
        }
        if let Some(made) = &stage.made {
            *text += &provenance::making(made, "    ");
        }
        for (name, value) in &stage.telemetry {
            let _ = writeln!(text, "    {name}: {}", provenance::plain(value));
        }
        if let Some(record) = &stage.record {
            let _ = writeln!(text, "    record: {}", record.display());
        }
    } else {
        for (path, value) in &stage.differing {
            let _ = writeln!(text, "    {path} = {value}");
        }
    }
}

fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, leaves);
            }
        }
        leaf => leaves.push((path.to_owned(), leaf.clone())),
    }
}
