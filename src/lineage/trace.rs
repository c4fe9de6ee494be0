//! Traces a cell of a table or a point of a curve back to all stages that it depends on.

use crate::cache::{Digest, Key, Output, Provenance, Record, Store};
use crate::experiment::Section;
use crate::metrics::{AUTHORS_BATCH, Averaging, Evaluation, FurtherScore, Summary};
use crate::plan::{CacheState, Plan};
use crate::report::curve::read_history;
use crate::report::table::Table;
use crate::stage::HistoryFile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The origin of a number.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// Description of the number, e.g. `table4: MatSSL, mIoU`.
    pub what: String,
    /// Unit: `"%"`, or empty for a metric of a history.
    pub unit: &'static str,
    /// The value over the seeds that have run.
    pub value: Option<Summary>,
    /// The values of the single seeds.
    pub samples: Vec<Sample>,
    /// All stages that these depend on, inputs first.
    pub stages: Vec<StageTrace>,
}

/// The value of one seed.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// The seed; `None` if the stage has no random numbers.
    pub seed: Option<u64>,
    /// The stage that has the value.
    pub stage: String,
    /// The value; `None` if the stage has not run yet, or has no value there.
    pub value: Option<f64>,
    /// The stage and all stages it depends on, inputs first.
    pub rests_on: Vec<String>,
}

/// A stage in the origin of a number.
#[derive(Clone, Debug, Serialize)]
pub struct StageTrace {
    /// Full name.
    pub stage: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its seed.
    pub seed: Option<u64>,
    /// Its state, in the words of `plan`.
    pub state: &'static str,
    /// Its key, if all its inputs have run.
    pub key: Option<Key>,
    /// The file of its record, if it has run.
    pub record: Option<PathBuf>,
    /// Machine, time and program of its run.
    pub made: Option<Provenance>,
    /// Measurements of its run.
    pub telemetry: BTreeMap<String, Value>,
    /// Parameters (dotted paths) that differ between the stages of this kind in the experiment.
    pub differing: BTreeMap<String, Value>,
    /// All parameters.
    pub params: Value,
    /// (parameter, stage) for each input.
    pub inputs: Vec<(&'static str, String)>,
    /// External files that it read.
    pub files: Option<DataFiles>,
}

/// The external files of a stage, as in its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DataFiles {
    /// Number of files.
    pub count: usize,
    /// Hash of all names and contents.
    pub digest: Digest,
}

/// Traces the cell in the row `row` and the column `column` (its heading, or its name in the CSV) of table `table` (the
/// name of its file or family; `None` if there is only one).
///
/// # Errors
/// A sentence with the known names, if there is no such table, row or column. Also if the table has no results yet.
pub fn cell(plan: &Plan, store: &Store, table: Option<&str>, row: &str, column: &str) -> Result<Trace, String> {
    let report = report(plan, Section::Tables, "table", table)?;
    let rows = labels(plan, report, "rows");
    rows.iter().try_for_each(|(_, stages)| check_undamaged(plan, store, stages, Evaluation::FILE))?;
    let evaluate = |stage: &usize| read::<Evaluation>(plan, store, *stage, Evaluation::FILE);
    let methods: Vec<(String, Vec<Evaluation>)> = rows
        .iter()
        .map(|(label, stages)| (label.clone(), stages.iter().filter_map(evaluate).collect::<Vec<_>>()))
        .filter(|(_, evaluations)| !evaluations.is_empty())
        .collect();
    let averaging = averaging(plan, report, &methods);
    let further = further(plan, report);
    let table = Table::averaged(None, &methods, averaging).map_err(|error| error.to_string())?;
    let table = table.with_scores(&further, &methods).map_err(|error| error.to_string())?;
    // The baselines have no stages of their own.
    let baselines = table.rows.iter().filter(|row| row.seeds.is_none());
    let names: Vec<String> =
        rows.iter().map(|(label, _)| label.clone()).chain(baselines.map(|row| row.label.clone())).collect();
    let found = pick("row", row, &names.iter().map(|name| vec![name.as_str()]).collect::<Vec<_>>())?;
    if table.rows.is_empty() {
        return Err(format!("table {} has no results yet: run the experiment first", name_of(plan, report)));
    }
    let headings: Vec<Vec<&str>> =
        table.columns.iter().map(|column| vec![column.heading.as_str(), column.key.as_str()]).collect();
    let index = pick("column", column, &headings)?;
    let what = format!("{}: {}, {}", name_of(plan, report), names[found], table.columns[index].heading);
    let entry = table.rows.iter().find(|row| row.label == names[found]);
    let value = entry.and_then(|row| row.cells[index]);
    let (stages, of_all): (Vec<usize>, Option<f64>) = match rows.get(found) {
        Some((_, stages)) => (stages.clone(), None),
        None => {
            let group = entry.map(|row| row.group);
            let same = |label: &String| table.rows.iter().any(|row| row.label == *label && Some(row.group) == group);
            let stages = rows.iter().filter(|(label, _)| same(label)).flat_map(|(_, stages)| stages.clone());
            (stages.collect(), value.map(|value| value.mean))
        }
    };
    let values = stages.iter().map(|stage| {
        let alone = |evaluation| {
            let methods = [(String::new(), vec![evaluation])];
            Table::averaged(None, &methods, averaging).ok()?.with_scores(&further, &methods).ok()
        };
        let own_table = evaluate(stage).and_then(alone);
        // By key, because a class may be missing among its columns.
        let own = own_table.and_then(|own| {
            let column = own.columns.iter().position(|column| column.key == table.columns[index].key)?;
            own.rows.first()?.cells[column]
        });
        of_all.or(own.map(|summary| summary.mean))
    });
    let samples = stages.iter().copied().zip(values).collect();
    Ok(trace(plan, store, what, "%", value, samples))
}

/// The further columns of the table.
fn further(plan: &Plan, table: usize) -> Vec<FurtherScore> {
    let columns = plan.experiment.instances[table].params.get("columns");
    columns.and_then(|columns| Vec::deserialize(columns).ok()).unwrap_or_default()
}

/// The averaging of mIoU in the table, and its batch size.
fn averaging(plan: &Plan, table: usize, methods: &[(String, Vec<Evaluation>)]) -> (Averaging, usize) {
    let miou = plan.experiment.instances[table].params.get("miou");
    let averaging = miou.and_then(|miou| Averaging::deserialize(miou).ok()).unwrap_or_default();
    let mut by = methods.iter().flat_map(|(_, seeds)| seeds).flat_map(|evaluation| &evaluation.miou_by);
    let batch = by.find(|by| by.name == averaging).and_then(|by| by.batch);
    (averaging, batch.unwrap_or(AUTHORS_BATCH))
}

/// Traces the point at `epoch` of the line `series` in figure `figure` (named as the table of [`cell`]).
///
/// # Errors
/// A sentence with the known names, if there is no such figure, series or epoch. Also if the line has no results yet.
pub fn point(plan: &Plan, store: &Store, figure: Option<&str>, series: &str, epoch: u64) -> Result<Trace, String> {
    let report = report(plan, Section::Figures, "figure", figure)?;
    let lines = labels(plan, report, "series");
    if lines.is_empty() {
        let name = name_of(plan, report);
        return Err(format!("figure {name} has no lines over epochs; its numbers are in {name}.csv and on the page"));
    }
    let names: Vec<Vec<&str>> = lines.iter().map(|(label, _)| vec![label.as_str()]).collect();
    let (label, stages) = &lines[pick("series", series, &names)?];
    check_undamaged(plan, store, stages, HistoryFile::FILE)?;
    let metric = plan.experiment.instances[report].params["metric"].as_str().unwrap_or_default();
    let history = |stage: &usize| {
        let text = text(plan, store, *stage, HistoryFile::FILE)?;
        read_history(&text, metric).ok()
    };
    let histories: Vec<Option<BTreeMap<u64, f64>>> = stages.iter().map(history).collect();
    let epochs: BTreeSet<u64> = histories.iter().flatten().flat_map(|history| history.keys().copied()).collect();
    match (epochs.first(), epochs.last()) {
        (Some(first), Some(last)) if !epochs.contains(&epoch) => {
            return Err(format!("{label} has no {metric} at epoch {epoch}; it has epochs {first} to {last}"));
        }
        (None, _) => return Err(format!("{label} has no results yet: run the experiment first")),
        _ => {}
    }
    let values = histories.iter().map(|history| history.as_ref().and_then(|history| history.get(&epoch).copied()));
    let samples: Vec<_> = stages.iter().copied().zip(values).collect();
    let value = Summary::of(samples.iter().filter_map(|(_, value)| *value));
    let what = format!("{}: {label}, {metric} at epoch {epoch}", name_of(plan, report));
    Ok(trace(plan, store, what, "", value, samples))
}

fn trace(
    plan: &Plan,
    store: &Store,
    what: String,
    unit: &'static str,
    value: Option<Summary>,
    samples: Vec<(usize, Option<f64>)>,
) -> Trace {
    let mut all = vec![false; plan.states.len()];
    let samples = samples
        .into_iter()
        .map(|(stage, value)| {
            let instance = &plan.experiment.instances[stage];
            let rests_on = plan.dag.with_ancestors(&[stage]);
            let names = (0..all.len()).filter(|&other| rests_on[other]).map(|other| {
                all[other] = true;
                plan.experiment.instances[other].name.clone()
            });
            let rests_on = names.collect();
            Sample { seed: instance.seed, stage: instance.name.clone(), value, rests_on }
        })
        .collect();
    let wanted: Vec<usize> = (0..all.len()).filter(|&stage| all[stage]).collect();
    Trace { what, unit, value, samples, stages: describe(plan, store, &wanted) }
}

/// Describes the stages with these indices.
pub fn describe(plan: &Plan, store: &Store, stages: &[usize]) -> Vec<StageTrace> {
    let instances = &plan.experiment.instances;
    let kinds: BTreeSet<&str> = stages.iter().map(|&stage| instances[stage].kind.name).collect();
    let mut values: BTreeMap<(&str, String), (BTreeSet<String>, usize)> = BTreeMap::new();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for instance in instances.iter().filter(|instance| kinds.contains(instance.kind.name)) {
        *sizes.entry(instance.kind.name).or_default() += 1;
        for (path, value) in dotted(&instance.params) {
            let (values, count) = values.entry((instance.kind.name, path)).or_default();
            values.insert(value.to_string());
            *count += 1;
        }
    }
    let differs = |kind: &'static str, path: &str| {
        let known = values.get(&(kind, path.to_owned()));
        known.is_some_and(|(values, count)| values.len() > 1 || Some(count) != sizes.get(kind))
    };
    let describe = |&stage: &usize| {
        let (instance, state) = (&instances[stage], &plan.states[stage]);
        let record: Option<&Record> = if let CacheState::Hit(record) = state { Some(record) } else { None };
        let material = match state {
            CacheState::Hit(record) => Some(&record.material),
            CacheState::Miss { material, .. } => Some(material.as_ref()),
            CacheState::WaitsOn(_) | CacheState::Unavailable(_) => None,
        };
        let key = match state {
            CacheState::Miss { key, .. } => Some(*key),
            _ => record.map(|record| record.key),
        };
        let mut differing: BTreeMap<String, Value> = dotted(&instance.params).into_iter().collect();
        differing.retain(|path, _| differs(instance.kind.name, path));
        let files = material.filter(|material| !material.files.is_empty()).map(|material| {
            let text: String = material.files.iter().map(|(name, digest)| format!("{digest} {name}\n")).collect();
            DataFiles { count: material.files.len(), digest: Digest::of(text.as_bytes()) }
        });
        StageTrace {
            stage: instance.name.clone(),
            kind: instance.kind.name,
            seed: instance.seed,
            state: state.word(),
            key,
            record: record.map(|record| store.record_file(record.key)),
            made: record.map(|record| record.made.clone()),
            telemetry: record.map(|record| record.telemetry.clone()).unwrap_or_default(),
            differing,
            params: instance.params.clone(),
            inputs: instance.inputs.iter().map(|input| (input.role, instances[input.instance].name.clone())).collect(),
            files,
        }
    };
    stages.iter().map(describe).collect()
}

/// All leaves with their dotted paths. Lists are leaves.
fn dotted(params: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut waiting = vec![(String::new(), params)];
    while let Some((path, value)) = waiting.pop() {
        match value {
            Value::Object(table) => {
                let below = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                waiting.extend(table.iter().map(|(name, value)| (below(name), value)));
            }
            // Inputs are listed separately.
            Value::String(text) if text == crate::experiment::vocabulary::INPUT => {}
            leaf => found.push((path, leaf.clone())),
        }
    }
    found
}

/// The index of the stage of the table or figure `wanted`.
fn report(plan: &Plan, section: Section, word: &str, wanted: Option<&str>) -> Result<usize, String> {
    let is_of = |&stage: &usize| plan.experiment.instances[stage].kind.section == section;
    let reports: Vec<usize> = (0..plan.states.len()).filter(is_of).collect();
    let names: Vec<[String; 2]> = reports
        .iter()
        .map(|&stage| [name_of(plan, stage), plan.experiment.instances[stage].label().to_owned()])
        .collect();
    match wanted {
        None if reports.len() == 1 => Ok(reports[0]),
        None => Err(format!("name a {word}; there are {}", list(names.iter().map(|names| names[0].as_str())))),
        Some(wanted) => {
            let names: Vec<Vec<&str>> = names.iter().map(|names| names.iter().map(String::as_str).collect()).collect();
            Ok(reports[pick(word, wanted, &names)?])
        }
    }
}

/// The file name of a report, without extension.
fn name_of(plan: &Plan, report: usize) -> String {
    let instance = &plan.experiment.instances[report];
    instance.params["file"].as_str().unwrap_or(&instance.name).to_owned()
}

/// The inputs of a report by label, as in the report: labels in order of appearance, seeds ascending.
fn labels(plan: &Plan, report: usize, role: &str) -> Vec<(String, Vec<usize>)> {
    let mut labels: Vec<(String, Vec<usize>)> = Vec::new();
    for input in plan.experiment.instances[report].inputs.iter().filter(|input| input.role == role) {
        match labels.iter_mut().find(|(label, _)| *label == input.label) {
            Some((_, stages)) => stages.push(input.instance),
            None => labels.push((input.label.clone(), vec![input.instance])),
        }
    }
    for (_, stages) in &mut labels {
        stages.sort_by_key(|&stage| plan.experiment.instances[stage].seed);
    }
    labels
}

/// Checks that no `file` of `stages` is damaged, because a mean without the damaged ones would be wrong.
fn check_undamaged(plan: &Plan, store: &Store, stages: &[usize], file: &str) -> Result<(), String> {
    let outputs = stages.iter().filter_map(|&stage| output(plan, stage, file));
    outputs.map(|output| store.read(output)).try_for_each(|read| read.map(drop)).map_err(|error| format!("{error:#}"))
}

fn output<'a>(plan: &'a Plan, stage: usize, file: &str) -> Option<&'a Output> {
    let CacheState::Hit(record) = &plan.states[stage] else { return None };
    record.outputs.iter().find(|output| output.path == file)
}

fn text(plan: &Plan, store: &Store, stage: usize, file: &str) -> Option<String> {
    String::from_utf8(store.read(output(plan, stage, file)?).ok()?).ok()
}

fn read<T: serde::de::DeserializeOwned>(plan: &Plan, store: &Store, stage: usize, file: &str) -> Option<T> {
    serde_json::from_str(&text(plan, store, stage, file)?).ok()
}

/// The index of the entry with the name `wanted`. Ignores case if only one entry matches.
fn pick(word: &str, wanted: &str, known: &[Vec<&str>]) -> Result<usize, String> {
    let wanted = wanted.trim();
    let called = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..known.len()).filter(|&index| known[index].iter().any(|name| test(name))).collect()
    };
    let exactly = called(&|name| name == wanted);
    let loosely = called(&|name| name.to_lowercase() == wanted.to_lowercase());
    if let Some(&index) = exactly.first() {
        return Ok(index);
    }
    if let [index] = loosely[..] {
        return Ok(index);
    }
    let likeness = |name: &&str| strsim::jaro_winkler(&name.to_lowercase(), &wanted.to_lowercase());
    let nearest = known.iter().flatten().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let help = nearest.map(|nearest| format!("\nhelp: did you mean `{nearest}`?")).unwrap_or_default();
    let names = known.iter().filter_map(|names| names.first().copied());
    Err(format!("no {word} is called `{wanted}`; there are {}{help}", list(names)))
}

/// At most 30 names, separated by commas.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > 30 => format!("{} and {} more", names[..30].join(", "), count - 30),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_ignore_case_and_unknown_names_get_a_suggestion() {
        let known = [vec!["mIoU", "miou"], vec!["IoU austenite", "iou_austenite"], vec!["Dice", "dice"]];
        assert_eq!(pick("column", "iou_austenite", &known), Ok(1));
        assert_eq!(pick("column", "MIOU", &known), Ok(0));
        let refused = pick("column", "IoU austenit", &known).unwrap_err();
        let expected = "no column is called `IoU austenit`; there are mIoU, IoU austenite, Dice\n\
                        help: did you mean `IoU austenite`?";
        assert_eq!(refused, expected);
        assert_eq!(pick("row", "x", &[]), Err("no row is called `x`; there are none".to_owned()));
    }

    #[test]
    fn leaves_have_dotted_paths_and_exclude_inputs() {
        let mut leaves = dotted(&json!({"a": {"b": 1, "c": [2]}, "model": crate::experiment::vocabulary::INPUT}));
        leaves.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(leaves, [("a.b".to_owned(), json!(1)), ("a.c".to_owned(), json!([2]))]);
    }
}
