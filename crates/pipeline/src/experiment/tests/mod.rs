//! A small vocabulary, and experiments written in it.

mod divided;
mod errors;
mod extends;
mod left_out;
mod limits;
mod meaning;
mod robust;

use super::*;
use crate::stage::{Context, Kind, StageError, StageKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::path::PathBuf;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Data {
    format: Format,
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Metaldam,
    Uhcs,
    Folder,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Synthesize {
    images: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Patchify {
    dataset: Input,
    #[serde(default = "size")]
    size: u32,
    #[serde(default)]
    overlap: f64,
    #[serde(default, rename = "use")]
    part: Option<String>,
}

fn size() -> u32 {
    256
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Method {
    Densecl,
    Mocov2,
    Matssl,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Encoder {
    arch: String,
    #[serde(default)]
    weights: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Optimizer {
    name: String,
    learning_rate: f64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pretrain {
    patches: Input,
    method: Method,
    encoder: MaybeInput<Encoder>,
    #[serde(default = "epochs")]
    epochs: u32,
    #[serde(default = "temperature")]
    temperature: f64,
    #[serde(default)]
    optimizer: Option<Optimizer>,
    #[serde(default)]
    crop: Option<[u32; 2]>,
}

fn epochs() -> u32 {
    100
}

fn temperature() -> f64 {
    0.07
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finetune {
    dataset: Input,
    encoder: MaybeInput<Encoder>,
    #[serde(default = "epochs")]
    epochs: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    file: String,
    rows: Input,
    #[serde(default)]
    reference: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Figure {
    file: String,
    kind: String,
    series: Input,
}

/// A kind whose stages do nothing.
macro_rules! kind {
    ($type:ty, $name:literal, $section:ident, $draws:literal, $references:expr $(, $check:item)?) => {
        impl StageKind for $type {
            const KIND: &'static str = $name;
            const CODE_VERSION: u32 = 1;
            const SECTION: Section = Section::$section;
            const REFERENCES: &'static [ReferenceSpec] = $references;

            fn draws(&self) -> bool {
                $draws
            }

            fn foresee(&self, _: &crate::stage::Known<'_>) -> crate::stage::Foresight {
                crate::stage::Foresight::nothing()
            }

            fn run(&self, _: &mut Context) -> Result<(), StageError> {
                Ok(())
            }

            $($check)?
        }
    };
}

kind!(Data, "dataset", Datasets, false, &[]);
kind!(Synthesize, "synthesize", Stages, false, &[]);
kind!(Patchify, "patchify", Stages, false, &[ReferenceSpec::one("dataset", &["dataset", "synthesize"])]);
kind!(
    Pretrain,
    "pretrain",
    Stages,
    true,
    &[ReferenceSpec::many("patches", &["patchify"]), ReferenceSpec::one("encoder", &["pretrain"]).or_value()],
    fn check(&self) -> Result<(), ParamError> {
        if self.temperature <= 0.0 {
            let message = format!("`temperature` must be above 0, not {}", self.temperature);
            return Err(ParamError::Check { param: "temperature", message });
        }
        if self.epochs > 1000 && self.optimizer.is_none() {
            let message = "an optimizer must be given for more than 1000 epochs".to_string();
            return Err(ParamError::Check { param: "optimizer.name", message });
        }
        Ok(())
    }
);
kind!(
    Finetune,
    "finetune",
    Stages,
    true,
    &[
        ReferenceSpec::one("dataset", &["dataset", "synthesize"]),
        ReferenceSpec::one("encoder", &["pretrain"]).or_value(),
    ]
);
kind!(Table, "table", Tables, false, &[ReferenceSpec::many("rows", &["finetune"]).of_all_seeds()]);
kind!(Figure, "figure", Figures, false, &[ReferenceSpec::many("series", &["finetune", "pretrain"]).of_all_seeds()]);

static TOY: [&Kind; 7] = [
    &Kind::of::<Data>(),
    &Kind::of::<Synthesize>(),
    &Kind::of::<Patchify>(),
    &Kind::of::<Pretrain>(),
    &Kind::of::<Finetune>(),
    &Kind::of::<Table>(),
    &Kind::of::<Figure>(),
];

/// Something like design.md's Table 4.
const TABLE4: &str = r#"
name  = "table4"
title = "mIoU (%) for different pretraining strategies"
seeds = [0]

[[tables]]
file = "table4"
rows = ["segment.*"]
reference = "paper"

[datasets.metaldam]
format = "metaldam"
path   = "data/metaldam"
[datasets.uhcs]
format = "uhcs"
path   = "data/uhcs"

[stages.patches]
kind = "patchify"
size = 128
matrix.include = [
  { dataset = "uhcs",     use = "unlabeled", overlap = 0.6 },
  { dataset = "metaldam", use = "unlabeled", overlap = 0.7 },
]

[stages.ssl]
kind = "pretrain"
encoder = { arch = "resnet50", weights = "imagenet" }
matrix.method  = ["densecl", "matssl"]
matrix.patches = { "uhcs+metaldam" = ["patches.uhcs", "patches.metaldam"], "all" = "patches.*" }
epochs = 50
optimizer = { name = "sgd", learning_rate = 0.1 }

[stages.segment]
kind = "finetune"
dataset = "metaldam"
matrix.encoder = ["ssl.*.all", "ssl.matssl.uhcs+metaldam"]
epochs = 200

[[figures]]
file = "fig3"
kind = "curve"
series = { "MatSSL" = "segment.ssl.matssl.all", "DenseCL" = "segment.ssl.densecl.all" }
"#;

fn parsed(text: &str, flags: &[&str]) -> Result<Experiment, Diagnostics> {
    let flags: Vec<String> = flags.iter().map(|flag| flag.to_string()).collect();
    parse_text(Path::new("a.toml"), text.to_string(), &flags, &TOY)
}

fn right(text: &str, flags: &[&str]) -> Experiment {
    parsed(text, flags).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn wrong(text: &str, flags: &[&str]) -> String {
    match parsed(text, flags) {
        Ok(experiment) => panic!("this was taken for right: {experiment:#?}"),
        Err(wrong) => wrong.render(false),
    }
}

fn names(experiment: &Experiment) -> Vec<&str> {
    experiment.instances.iter().map(|instance| instance.name.as_str()).collect()
}

/// `role=label` and the name of what it leads to.
fn inputs(experiment: &Experiment, name: &str) -> Vec<String> {
    let instance = experiment.instances.iter().find(|instance| instance.name == name);
    let inputs = &instance.unwrap_or_else(|| panic!("no {name} in {:?}", names(experiment))).inputs;
    let shown =
        |input: &InputRef| format!("{}={} → {}", input.role, input.label, experiment.instances[input.instance].name);
    inputs.iter().map(shown).collect()
}
