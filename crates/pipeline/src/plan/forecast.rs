//! Forecast of a plan's cost, from the records of earlier stages of the same kinds.

use super::makespan::makespan;
use super::resolve::keyed_params;
use super::{CacheState, Dag, Plan};
use crate::cache::{self, Digest, Key, KeyMaterial, Record, Store};
use rayon::prelude::*;
use serde_json::Value;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Maximum number of parameter sets of a kind that are compared, latest first: a cache of ten thousand different stages
/// must not make a plan slow.
const MOST_GROUPS: usize = 128;

/// Expected cost of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Wall time of its worker.
    pub seconds: f64,
    /// Of this time, seconds on a GPU: all or 0.
    pub gpu_seconds: f64,
    /// Number of threads in those records.
    pub threads: usize,
    /// Size of its output in the cache.
    pub bytes: u64,
    /// Peak memory of its process, if the records contain it.
    pub memory_mib: Option<u64>,
    /// Number of records used.
    pub from: usize,
    /// Whether these records come from the kind of device that it will run on.
    pub same_device: bool,
}

/// Expected cost of all stages that must run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Total {
    /// Wall time on the given number of slots.
    pub seconds: Option<f64>,
    /// Time on GPUs, summed over stages.
    pub gpu_seconds: f64,
    /// Size of all outputs.
    pub bytes: u64,
    /// Sum over the largest processes that may run at the same time.
    pub memory_mib: Option<u64>,
    /// Number of records used.
    pub records: usize,
    /// Number of stages that run or may run.
    pub stages: usize,
    /// Of these, stages of kinds without records: not included in the cost.
    pub unknown: usize,
    /// Of these, stages whose records come from another kind of device.
    pub other_device: usize,
}

/// The expectations for a plan.
pub struct Forecast {
    /// Expectation of each stage, by its index in the experiment; `None` if it need not run, or no record is useful.
    pub stages: Vec<Option<Expected>>,
    must_run: usize,
    records: usize,
}

/// The parts of a record that a forecast uses.
struct Past {
    key: Key,
    name: String,
    on_cpu: bool,
    seconds: f64,
    threads: usize,
    bytes: u64,
    memory_mib: Option<u64>,
    inputs: Vec<Digest>,
}

/// Records of one kind with the same parameters.
struct Group {
    fields: Fields,
    epochs: Option<f64>,
    latest: u64,
    records: Vec<Past>,
}

/// Sorted hashes of dotted path and value of each parameter, without `epochs`, by which time is scaled.
type Fields = Vec<(u64, u64)>;

impl Forecast {
    /// Compares the stages marked by `must_run` with all records. With `on_gpu` stages that can use a GPU will run on
    /// one. A cache that cannot be read yields no forecast, not an error.
    pub fn new(plan: &Plan, store: &Store, must_run: &[bool], on_gpu: bool) -> Forecast {
        let records = store.records().unwrap_or_default();
        let kinds = group(&records);
        let overheads = overheads(&records, &cache::durations(store));
        let used: Vec<(Option<Expected>, Vec<Key>)> = (0..plan.states.len())
            .into_par_iter()
            .map(|stage| {
                let expectation = if must_run[stage] { expect(plan, stage, &kinds, &overheads, on_gpu) } else { None };
                expectation.map_or((None, Vec::new()), |(expected, keys)| (Some(expected), keys))
            })
            .collect();
        let records = used.iter().flat_map(|(_, keys)| keys).collect::<BTreeSet<_>>().len();
        let must_run = must_run.iter().filter(|run| **run).count();
        Forecast { stages: used.into_iter().map(|(expected, _)| expected).collect(), must_run, records }
    }

    /// Expected seconds of each stage, for [`makespan`].
    pub fn seconds(&self) -> Vec<Option<f64>> {
        self.stages.iter().map(|stage| stage.as_ref().map(|expected| expected.seconds)).collect()
    }

    /// Expected cost of all stages, with `slots` stages at a time on as many cores.
    pub fn total(&self, dag: &Dag, slots: usize) -> Total {
        let known = || self.stages.iter().flatten();
        // A stage that runs alone uses several cores: together, stages cannot be faster than their core seconds.
        let cores = slots.max(1) as f64;
        let work: f64 = known().map(|stage| stage.seconds * (stage.threads as f64).clamp(1.0, cores)).sum();
        let mut memory: Vec<u64> = known().filter_map(|stage| stage.memory_mib).collect();
        memory.sort_unstable_by(|a, b| b.cmp(a));
        Total {
            seconds: makespan(dag, &self.seconds(), slots).map(|seconds| seconds.max(work / cores)),
            gpu_seconds: known().map(|stage| stage.gpu_seconds).sum(),
            bytes: known().map(|stage| stage.bytes).sum(),
            memory_mib: (!memory.is_empty()).then(|| memory.iter().take(slots.max(1)).sum()),
            records: self.records,
            stages: self.must_run,
            unknown: self.must_run - known().count(),
            other_device: known().filter(|stage| !stage.same_device).count(),
        }
    }
}

fn group(records: &[Record]) -> HashMap<&str, HashMap<Fields, Group>> {
    let mut kinds: HashMap<&str, HashMap<Fields, Group>> = HashMap::new();
    for record in records {
        let material = &record.material;
        let epochs = epochs(&material.params);
        let fields = fields(&material.params);
        // Groups also differ by their epochs, which this extra field separates.
        let mut name = fields.clone();
        name.push((u64::MAX, epochs.map_or(0, f64::to_bits)));
        let groups = kinds.entry(&material.kind).or_default();
        let group = groups.entry(name).or_insert_with(|| Group { fields, epochs, latest: 0, records: Vec::new() });
        group.latest = group.latest.max(record.made.finished_at);
        group.records.push(Past::of(record));
    }
    for groups in kinds.values_mut() {
        if groups.len() > MOST_GROUPS {
            let mut names: Vec<(Reverse<u64>, Fields)> =
                groups.iter().map(|(name, group)| (Reverse(group.latest), name.clone())).collect();
            names.sort_unstable();
            for (_, name) in &names[MOST_GROUPS..] {
                groups.remove(name);
            }
        }
    }
    kinds
}

/// Overhead of a stage by kind in seconds: process, lock, flushes. It dominates for small stages.
fn overheads<'a>(records: &'a [Record], durations: &BTreeMap<Key, f64>) -> BTreeMap<&'a str, f64> {
    let mut of_kinds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for record in records {
        if let Some(seconds) = durations.get(&record.key) {
            of_kinds.entry(&record.material.kind).or_default().push((seconds - record.made.seconds).max(0.0));
        }
    }
    of_kinds.into_iter().filter_map(|(kind, overheads)| Some((kind, median(overheads.into_iter())?))).collect()
}

impl Past {
    fn of(record: &Record) -> Past {
        let number = |name: &str| record.telemetry.get(name).and_then(Value::as_f64);
        let mut seconds = record.made.seconds.max(0.0);
        // A training that resumed from a checkpoint trained only the remaining epochs in this time.
        if let (Some(all), Some(resumed)) = (epochs(&record.material.params), number("resumed_epochs"))
            && resumed > 0.0
            && resumed < all
        {
            seconds *= all / (all - resumed);
        }
        Past {
            key: record.key,
            name: label(&record.made.stage).to_owned(),
            on_cpu: record.made.device == "cpu",
            seconds,
            threads: record.made.threads.max(1),
            bytes: record.outputs.iter().map(|output| output.size).sum(),
            memory_mib: number("peak_memory_mib").map(|mib| mib.ceil() as u64),
            inputs: record.material.inputs.values().flatten().map(|input| input.content).collect(),
        }
    }
}

/// `experiment/stage@seed` without the seed.
fn label(stage: &str) -> &str {
    stage.rsplit_once('@').map_or(stage, |(label, _)| label)
}

fn expect(
    plan: &Plan,
    stage: usize,
    kinds: &HashMap<&str, HashMap<Fields, Group>>,
    overheads: &BTreeMap<&str, f64>,
    on_gpu: bool,
) -> Option<(Expected, Vec<Key>)> {
    let instance = &plan.experiment.instances[stage];
    let params = keyed_params(instance.kind, &instance.params);
    let (own, epochs) = (fields(&params), epochs(&params));
    let material: Option<&KeyMaterial> = match &plan.states[stage] {
        CacheState::Miss { material, .. } => Some(material),
        CacheState::Hit(record) => Some(&record.material),
        CacheState::WaitsOn(_) | CacheState::Unavailable(_) => None,
    };
    let inputs: Option<Vec<Digest>> =
        material.map(|material| material.inputs.values().flatten().map(|input| input.content).collect());
    let name = format!("{}/{}", plan.experiment.name, instance.label());
    let computes = instance.stage.computes();
    let wants_gpu = on_gpu && computes;
    // Nearest first: same kind of device, fewest different parameters, same number of epochs, same inputs, same name.
    // Equally near records are used together.
    let mut nearest: Option<(Distance, Vec<(&Past, f64)>)> = None;
    for group in kinds.get(instance.kind.name)?.values() {
        let differing = differing(&own, &group.fields);
        let scale = match (epochs, group.epochs) {
            (Some(now), Some(then)) if then > 0.0 => now / then,
            _ => 1.0,
        };
        for past in &group.records {
            let distance = Distance {
                other_device: past.on_cpu == wants_gpu,
                differing,
                other_epochs: scale != 1.0,
                other_inputs: inputs.as_ref().is_some_and(|inputs| *inputs != past.inputs),
                other_name: past.name != name,
            };
            match nearest.as_mut().map(|(best, list)| (distance.cmp(best), list)) {
                Some((Ordering::Greater, _)) => {}
                Some((Ordering::Equal, list)) => list.push((past, scale)),
                Some((Ordering::Less, _)) | None => nearest = Some((distance, vec![(past, scale)])),
            }
        }
    }
    let (distance, nearest) = nearest?;
    let work = median(nearest.iter().map(|(past, scale)| past.seconds * scale))?;
    let seconds = work + overheads.get(instance.kind.name).unwrap_or(&0.0);
    let on_gpu = nearest.iter().filter(|(past, _)| !past.on_cpu).count() * 2 > nearest.len();
    let expected = Expected {
        seconds,
        gpu_seconds: if on_gpu { work } else { 0.0 },
        threads: median(nearest.iter().map(|(past, _)| past.threads as f64))?.round() as usize,
        bytes: median(nearest.iter().map(|(past, _)| past.bytes as f64))?.round() as u64,
        memory_mib: median(nearest.iter().filter_map(|(past, _)| past.memory_mib).map(|mib| mib as f64))
            .map(|mib| mib.ceil() as u64),
        from: nearest.len(),
        same_device: !distance.other_device || !computes,
    };
    Some((expected, nearest.iter().map(|(past, _)| past.key).collect()))
}

/// Distance of a record from a stage; the first field that differs decides.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    other_device: bool,
    differing: usize,
    other_epochs: bool,
    other_inputs: bool,
    other_name: bool,
}

fn epochs(params: &Value) -> Option<f64> {
    params.get("epochs").and_then(Value::as_f64)
}

fn fields(params: &Value) -> Fields {
    fn hash(what: impl Hash) -> u64 {
        // This hasher has fixed keys, so the order of groups is stable.
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        hasher.finish()
    }
    fn collect(path: &str, value: &Value, fields: &mut Fields) {
        match value {
            Value::Object(table) => {
                for (name, value) in table {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    collect(&path, value, fields);
                }
            }
            _ if path == "epochs" => {}
            leaf => fields.push((hash(path), hash(leaf.to_string()))),
        }
    }
    let mut fields = Vec::new();
    collect("", params, &mut fields);
    fields.sort_unstable();
    fields
}

/// Number of paths that only one has, or whose values differ.
fn differing(a: &Fields, b: &Fields) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        count += usize::from(x != y);
        i += usize::from(x.0 <= y.0);
        j += usize::from(y.0 <= x.0);
    }
    count + (a.len() - i) + (b.len() - j)
}

/// Median; for an even number of values the mean of the middle two.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Kinds with stages that must run and have no expectation, with the number of such stages.
pub fn unknown_kinds(plan: &Plan, forecast: &Forecast, must_run: &[bool]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    let stages = plan.experiment.instances.iter().zip(&forecast.stages).zip(must_run);
    for ((instance, _), _) in stages.filter(|((_, expected), run)| **run && expected.is_none()) {
        *kinds.entry(instance.kind.name).or_default() += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differing_parameters_are_counted_except_epochs() {
        let base = fields(&json!({"epochs": 3, "method": {"name": "matssl", "temperature": 0.07}, "width": 8}));
        let count = |other: Value| differing(&base, &fields(&other));
        assert_eq!(count(json!({"epochs": 9, "method": {"name": "matssl", "temperature": 0.07}, "width": 8})), 0);
        assert_eq!(count(json!({"epochs": 3, "method": {"name": "matssl", "temperature": 0.1}, "width": 9})), 2);
        assert_eq!(count(json!({"epochs": 3, "method": {"name": "byol"}, "width": 8, "more": 1})), 3);
    }

    #[test]
    fn a_median_has_as_many_above_as_below() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
    }

    /// A plan with one pretraining that waits for its inputs, in an empty cache.
    fn pretraining(store: &Store, folder: &std::path::Path) -> Plan {
        let path = folder.join("e.toml");
        let text = r#"
            name = "e"
            [stages.a]
            kind = "source"
            [stages.b]
            kind = "source"
            [stages.ssl]
            kind = "training"
            data = ["a", "b"]
            method = { temperature = 0.07 }
            encoder = { arch = "resnet18", weights = "random" }
            epochs = 10
            batch_size = 8
        "#;
        std::fs::write(&path, text).unwrap();
        let experiment = crate::experiment::load(&path, &[], crate::stage::testing::KINDS).unwrap();
        Plan::new(experiment, store, &crate::stage::Places::default(), None).unwrap()
    }

    fn publish(store: &Store, params: &Value, seconds: f64, device: &str, telemetry: Value) {
        let folder = tempfile::tempdir_in(store.root()).unwrap();
        std::fs::write(folder.path().join("out"), "12345678").unwrap();
        let mut material = KeyMaterial {
            schema: cache::KEY_SCHEMA,
            kind: "training".into(),
            code_version: 1,
            params: params.clone(),
            seed: Some(0),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        // No two of one key.
        material.files.insert("n".into(), Digest::of(&seconds.to_le_bytes()));
        let made = cache::Provenance { seconds, device: device.into(), threads: 1, ..Default::default() };
        let telemetry = serde_json::from_value(telemetry).unwrap();
        store.publish(material, folder.path(), made, telemetry, false).unwrap();
    }

    #[test]
    fn the_forecast_uses_the_nearest_records_of_the_right_device() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let plan = pretraining(&store, dir.path());
        let ssl = plan.experiment.instances.iter().position(|instance| instance.kind.name == "training").unwrap();
        let must_run = vec![true; plan.states.len()];
        let forecast = |on_gpu| Forecast::new(&plan, &store, &must_run, on_gpu);
        assert_eq!(forecast(false).total(&plan.dag, 2), Total { stages: 3, unknown: 3, ..Total::default() });

        let params = keyed_params(plan.experiment.instances[ssl].kind, &plan.experiment.instances[ssl].params);
        let mut far = params.clone();
        far["method"]["temperature"] = json!(0.5);
        far["batch_size"] = json!(7);
        publish(&store, &far, 900.0, "cpu", json!({}));
        let of = |forecast: &Forecast| forecast.stages[ssl].clone().unwrap();
        assert_eq!(of(&forecast(false)).seconds, 900.0, "better than nothing");
        let mut near = params.clone();
        near["method"]["temperature"] = json!(0.1);
        publish(&store, &near, 30.0, "cuda:0 (NVIDIA H100)", json!({"peak_memory_mib": 100}));
        assert_eq!(of(&forecast(false)).seconds, 900.0, "of the same kind of device");
        let expected = of(&forecast(true));
        assert_eq!((expected.seconds, expected.gpu_seconds, expected.memory_mib), (30.0, 30.0, Some(100)));
        // Half of the epochs, of which one was there already; and the same parameters are the nearest.
        let mut half = params.clone();
        half["epochs"] = json!(5);
        publish(&store, &half, 40.0, "cpu", json!({"resumed_epochs": 1}));
        let expected = of(&forecast(false));
        assert_eq!((expected.seconds, expected.bytes, expected.from, expected.same_device), (100.0, 8, 1, true));
        publish(&store, &params, 60.0, "cpu", json!({}));
        publish(&store, &params, 70.0, "cpu", json!({}));
        let nearest = forecast(false);
        assert_eq!((of(&nearest).seconds, of(&nearest).from), (65.0, 2));
        let total = nearest.total(&plan.dag, 2);
        assert_eq!((total.seconds, total.records, total.unknown, total.gpu_seconds), (Some(65.0), 2, 2, 0.0));
    }
}
