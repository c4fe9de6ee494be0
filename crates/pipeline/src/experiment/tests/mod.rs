//! A small vocabulary, and experiments written in it.

mod errors;
mod extends;
mod limits;
mod meaning;
mod robust;

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Data {
    format: Format,
    path: PathBuf,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Metaldam,
    Uhcs,
    Folder,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Synthesize {
    images: u32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
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

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Method {
    Densecl,
    Mocov2,
    Matssl,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Encoder {
    arch: String,
    #[serde(default)]
    weights: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Optimizer {
    name: String,
    learning_rate: f64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
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

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finetune {
    dataset: Input,
    encoder: MaybeInput<Encoder>,
    #[serde(default = "epochs")]
    epochs: u32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    file: String,
    rows: Input,
    #[serde(default)]
    reference: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Figure {
    file: String,
    kind: String,
    series: Input,
}

fn parse_as<T: Serialize + serde::de::DeserializeOwned + JsonSchema + 'static>(
    table: SpannedTable<'_>,
) -> Result<serde_json::Value, Vec<ParamError>> {
    deserialize::<T>(table).map(|params| serde_json::to_value(params).unwrap())
}

fn parse_pretrain(table: SpannedTable<'_>) -> Result<serde_json::Value, Vec<ParamError>> {
    let params: Pretrain = deserialize(table)?;
    if params.temperature <= 0.0 {
        let message = format!("`temperature` must be above 0, not {}", params.temperature);
        return Err(vec![ParamError::Check { param: "temperature", message }]);
    }
    if params.epochs > 1000 && params.optimizer.is_none() {
        let message = "an optimizer must be given for more than 1000 epochs".to_string();
        return Err(vec![ParamError::Check { param: "optimizer.name", message }]);
    }
    Ok(serde_json::to_value(params).unwrap())
}

static DATASET: KindSpec = KindSpec {
    kind: "dataset",
    section: Section::Datasets,
    seeded: |_| false,
    references: &[],
    parse: parse_as::<Data>,
    check_labels: None,
    schema: |_| Default::default(),
};
static SYNTHESIZE: KindSpec = KindSpec {
    kind: "synthesize",
    section: Section::Stages,
    seeded: |_| false,
    references: &[],
    parse: parse_as::<Synthesize>,
    check_labels: None,
    schema: |_| Default::default(),
};
static PATCHIFY: KindSpec = KindSpec {
    kind: "patchify",
    section: Section::Stages,
    seeded: |_| false,
    references: &[ReferenceSpec::one("dataset", &["dataset", "synthesize"])],
    parse: parse_as::<Patchify>,
    check_labels: None,
    schema: |_| Default::default(),
};
static PRETRAIN: KindSpec = KindSpec {
    kind: "pretrain",
    section: Section::Stages,
    seeded: |_| true,
    references: &[
        ReferenceSpec::many("patches", &["patchify"]),
        ReferenceSpec::one("encoder", &["pretrain"]).or_value(),
    ],
    parse: parse_pretrain,
    check_labels: None,
    schema: |_| Default::default(),
};
static FINETUNE: KindSpec = KindSpec {
    kind: "finetune",
    section: Section::Stages,
    seeded: |_| true,
    references: &[
        ReferenceSpec::one("dataset", &["dataset", "synthesize"]),
        ReferenceSpec::one("encoder", &["pretrain"]).or_value(),
    ],
    parse: parse_as::<Finetune>,
    check_labels: None,
    schema: |_| Default::default(),
};
static TABLE: KindSpec = KindSpec {
    kind: "table",
    section: Section::Tables,
    seeded: |_| false,
    references: &[ReferenceSpec::many("rows", &["finetune"]).of_all_seeds()],
    parse: parse_as::<Table>,
    check_labels: None,
    schema: |_| Default::default(),
};
static FIGURE: KindSpec = KindSpec {
    kind: "figure",
    section: Section::Figures,
    seeded: |_| false,
    references: &[ReferenceSpec::many("series", &["finetune", "pretrain"]).of_all_seeds()],
    parse: parse_as::<Figure>,
    check_labels: None,
    schema: |_| Default::default(),
};

static TOY: [&KindSpec; 7] = [&DATASET, &SYNTHESIZE, &PATCHIFY, &PRETRAIN, &FINETUNE, &TABLE, &FIGURE];

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
