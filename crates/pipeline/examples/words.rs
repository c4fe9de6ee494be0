//! A program of its own kinds of stages on the engine: one writes a text, one counts its words.
//!
//! `cargo run -p matssl-pipeline --example words` runs two stages; run again, it runs none.

use matssl_pipeline::cache::Store;
use matssl_pipeline::exec::{self, Options, Program, Signals, StageOutcome};
use matssl_pipeline::experiment;
use matssl_pipeline::parameters::{Input, ReferenceSpec};
use matssl_pipeline::plan::Plan;
use matssl_pipeline::stage::{Context, Foresight, Kind, Known, Places, StageError, StageKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Leaves `text.txt`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// What to write.
    text: String,
}

impl StageKind for Text {
    const KIND: &'static str = "text";
    const CODE_VERSION: u32 = 1;

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        Ok(std::fs::write(context.out.join("text.txt"), &self.text)?)
    }
}

/// Leaves `count.txt`.
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

static PROGRAM: Program = Program {
    kinds: &[&Kind::of::<Text>(), &Kind::of::<Count>()],
    name: concat!("words ", env!("CARGO_PKG_VERSION")),
    commit: None,
    compiler: "",
    target: "",
    target_features: "",
    profile: "",
};

const EXPERIMENT: &str = r#"
name = "words"

[stages.micrograph]
kind = "text"
text = "grey and white grains"

[stages.words]
kind = "count"
of = "micrograph"
"#;

fn main() -> anyhow::Result<()> {
    // The engine starts this program again: as a worker for each stage, and as a guard that outlives a killed run.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker"] => std::process::exit(if exec::work(&PROGRAM)? { 0 } else { 3 }),
        ["guard", run, parent, work] => {
            exec::guard(run, parent.parse()?, Path::new(work));
            return Ok(());
        }
        _ => {}
    }
    let experiment = experiment::parse_text(Path::new("words.toml"), EXPERIMENT.into(), &[], PROGRAM.kinds)
        .map_err(|wrong| anyhow::anyhow!("{}", wrong.render(false)))?;
    let store = Store::open(&std::env::temp_dir().join("matssl-words-cache"))?;
    let places = Places::default();
    let plan = Plan::new(experiment, &store, &places, None)?;
    let options = Options::all(&PROGRAM, &plan);
    store.make()?;
    let outcome = exec::run(&plan, &store, &places, &options, &Signals::default(), None, &mut |_| ())?;
    println!("{} of {} stages ran", outcome.ran, outcome.stages.len());
    if let Some(StageOutcome::Done(record)) = outcome.stages.last() {
        println!("words: {}", String::from_utf8(store.read(&record.outputs[0])?)?);
    }
    Ok(())
}
