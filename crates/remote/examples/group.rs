//! A small program of its own kinds of stages, whose runs share a cache. The tests start it as the machines of a group.
//!
//! `group run FILE CACHE REMOTE` runs an experiment; `push` and `pull` bring what is cached to the other side. REMOTE is an address,
//! with `+readonly` at its end if it is only read. `MATSSL_KEY` names a key file; `MATSSL_REQUIRE_SIGNATURE` refuses what is not
//! signed with it.

use matssl_pipeline::cache::{Key, Store};
use matssl_pipeline::events::Event;
use matssl_pipeline::exec::{self, Options, Program, Signals, StageOutcome};
use matssl_pipeline::experiment;
use matssl_pipeline::parameters::{Input, ReferenceSpec};
use matssl_pipeline::plan::{CacheState, Plan};
use matssl_pipeline::stage::{Context, Foresight, Kind, Known, Places, StageError, StageKind};
use matssl_remote::{BackgroundPush, Observer, Push, Settings, SharedCache};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Leaves `text.txt`: its text so many times, each with its number.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
    #[serde(default = "one")]
    times: u32,
}

fn one() -> u32 {
    1
}

impl StageKind for Text {
    const KIND: &'static str = "text";
    const CODE_VERSION: u32 = 1;

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let lines: String = (0..self.times).map(|number| format!("{} {number}\n", self.text)).collect();
        Ok(std::fs::write(context.out.join("text.txt"), lines)?)
    }
}

/// Leaves `count.txt`, the number of words, which many texts share.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    /// A stage of kind `text`.
    of: Input,
}

impl StageKind for Count {
    const KIND: &'static str = "count";
    const CODE_VERSION: u32 = 1;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::one("of", &["text"])];

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let text = std::fs::read_to_string(context.input("of")?.file("text.txt")?)?;
        Ok(std::fs::write(context.out.join("count.txt"), text.split_whitespace().count().to_string())?)
    }
}

/// Leaves `double.txt`, twice the number.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Double {
    /// A stage of kind `count`.
    of: Input,
}

impl StageKind for Double {
    const KIND: &'static str = "double";
    const CODE_VERSION: u32 = 1;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::one("of", &["count"])];

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let count = std::fs::read_to_string(context.input("of")?.file("count.txt")?)?;
        let count: u64 = count.parse().map_err(|_| StageError::BadData(format!("`{count}` is no number")))?;
        Ok(std::fs::write(context.out.join("double.txt"), (2 * count).to_string())?)
    }
}

/// Leaves `list.txt`: the number on so many lines. It may be large, and its key is known when the number is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// A stage of kind `count`.
    of: Input,
    times: u32,
}

impl StageKind for List {
    const KIND: &'static str = "list";
    const CODE_VERSION: u32 = 1;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::one("of", &["count"])];

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let count = std::fs::read_to_string(context.input("of")?.file("count.txt")?)?;
        let lines: String = (0..self.times).map(|number| format!("{count} {number}\n")).collect();
        Ok(std::fs::write(context.out.join("list.txt"), lines)?)
    }
}

static PROGRAM: Program = Program {
    kinds: &[&Kind::of::<Text>(), &Kind::of::<Count>(), &Kind::of::<Double>(), &Kind::of::<List>()],
    name: concat!("group ", env!("CARGO_PKG_VERSION")),
    commit: None,
    compiler: "",
    target: "",
    target_features: "",
    profile: "",
};

struct OnStandardError;

impl Observer for OnStandardError {
    fn say(&self, message: &str) {
        eprintln!("warning: {message}");
    }

    fn progress(&self, _: u64, _: u64) {}
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker"] => std::process::exit(if exec::work(&PROGRAM)? { 0 } else { 3 }),
        ["guard", run, parent, work] => {
            exec::guard(run, parent.parse()?, Path::new(work));
            Ok(())
        }
        [verb, file, cache, remote] => obey(verb, Path::new(file), Path::new(cache), remote),
        _ => anyhow::bail!("expected: run|push|pull FILE CACHE REMOTE"),
    }
}

fn open(remote: &str) -> anyhow::Result<Option<Arc<SharedCache>>> {
    if remote == "none" {
        return Ok(None);
    }
    let settings = Settings {
        url: remote.trim_end_matches("+readonly").to_owned(),
        readonly: remote.ends_with("+readonly"),
        require_signature: std::env::var_os("MATSSL_REQUIRE_SIGNATURE").is_some(),
        signing_key: std::env::var_os("MATSSL_KEY").map(Into::into),
        trusted_keys: Vec::new(),
    };
    Ok(Some(SharedCache::open(&settings, Arc::new(OnStandardError))?))
}

fn obey(verb: &str, file: &Path, cache: &Path, remote: &str) -> anyhow::Result<()> {
    let shared = open(remote)?;
    let text = std::fs::read_to_string(file)?;
    let experiment = experiment::parse_text(file, text, &[], PROGRAM.kinds)
        .map_err(|wrong| anyhow::anyhow!("{}", wrong.render(false)))?;
    let mut store = Store::open(cache)?;
    let places = Places::default();
    let plan = Plan::new(experiment, &store, &places, None)?;
    if let Some(shared) = &shared {
        store = store.with_remote(shared.clone());
    }
    match (verb, shared) {
        ("run", shared) => run(plan, &store, &places, shared),
        ("push", Some(shared)) => {
            let stages = plan.dag.topological().into_iter();
            let keys: Vec<Key> = stages.filter_map(|stage| key_of(&plan.states[stage])).collect();
            let name = &plan.experiment.name;
            let push = Push { store: &store, experiment: name, keys: &keys, all: true, is_dry: false };
            let pushed = shared.push(&push, &|| false)?;
            let (records, objects) = (pushed.records, pushed.objects.count);
            println!("pushed {records} records, {objects} objects, {} were there", pushed.already);
            let failed = &pushed.failed;
            anyhow::ensure!(failed.is_empty() && pushed.left == 0, "not pushed: {failed:?}, {}", pushed.left);
            Ok(())
        }
        ("pull", Some(shared)) => {
            anyhow::ensure!(shared.connect()?, "there is no shared cache");
            let plan = plan.ask_remote(&store, &places)?;
            let keys = plan.states.iter().filter_map(key_of);
            let records: Vec<_> = keys.filter_map(|key| store.only_remote(key)).collect();
            let failed = store.fetch(&records)?;
            println!("pulled {} records", records.len() - failed.len());
            anyhow::ensure!(failed.is_empty(), "not pulled: {failed:?}");
            Ok(())
        }
        _ => anyhow::bail!("{verb} needs a remote"),
    }
}

fn key_of(state: &CacheState) -> Option<Key> {
    match state {
        CacheState::Hit(record) => Some(record.key),
        _ => None,
    }
}

fn run(plan: Plan, store: &Store, places: &Places, shared: Option<Arc<SharedCache>>) -> anyhow::Result<()> {
    let count = plan.states.len();
    let plan = plan.fetch_for_run(store, places, &vec![true; count], &vec![false; count])?;
    let mut push = match &shared {
        Some(shared) if !shared.is_readonly() => Some(BackgroundPush::start(shared.clone(), store.clone())?),
        _ => None,
    };
    let options = Options::all(&PROGRAM, &plan);
    let outcome = exec::run(&plan, store, places, &options, &Signals::default(), None, &mut |event| match event {
        Event::StageFinished { key, .. } => push.iter_mut().for_each(|push| push.push(*key)),
        Event::StageFailed { stage, message, .. } => eprintln!("error: {stage}: {message}"),
        _ => {}
    })?;
    let done = outcome.stages.iter().filter_map(|stage| match stage {
        StageOutcome::Done(record) => Some(record),
        _ => None,
    });
    let records: Vec<_> = done.cloned().collect();
    // What the last stages left is read, as reports are.
    for (instance, outcome) in plan.experiment.instances.iter().zip(&outcome.stages) {
        if let StageOutcome::Done(record) = outcome
            && instance.kind.name == "double"
        {
            println!("{}: {}", instance.name, String::from_utf8(store.read(&record.outputs[0])?)?);
        }
    }
    if let Some(push) = push {
        let keys: Vec<Key> = records.iter().map(|record| record.key).collect();
        let pushed = push.finish(&plan.experiment.name, &keys, keys.len() == count, &|| false)?;
        println!("pushed {} records", pushed.records);
        pushed.failed.iter().for_each(|(stage, why)| eprintln!("warning: {stage} was not pushed: {why}"));
    }
    println!("{} of {count} ran", outcome.ran);
    anyhow::ensure!(records.len() == count, "not all stages are done");
    Ok(())
}
