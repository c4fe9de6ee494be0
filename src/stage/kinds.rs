//! The table of kinds. A new kind of stage is one new file and one word here.

use super::command::Command;
use super::data_table::DataTable;
use super::dataset::Dataset;
use super::evaluate::Evaluate;
use super::figure::Figure;
use super::finetune::Finetune;
use super::overlay::Overlay;
use super::patchify::Patchify;
use super::pretrain::Pretrain;
use super::synthesize::Synthesize;
use super::table::Table;
use super::{Context, ExternalFiles, Places, Stage, StageError};
use crate::experiment::{KindSpec, LabelledInput, ParamError, SpannedTable};
use crate::nn::Precision;
use serde_json::Value;
use std::path::PathBuf;

/// All kinds.
static KINDS: &[Kind] = &[
    of::<Dataset>(),
    of::<Synthesize>(),
    of::<Patchify>(),
    of::<Pretrain>(),
    of::<Finetune>(),
    of::<Evaluate>(),
    of::<Command>(),
    of::<Table>(),
    of::<DataTable>(),
    of::<Figure>(),
    of::<Overlay>(),
];

/// A kind with its parameters' type erased: what plan and worker hold.
pub struct Kind {
    /// What the front end needs to know.
    pub spec: KindSpec,
    /// See [`Stage::CODE_VERSION`].
    pub code_version: u32,
    /// See [`Stage::LABELLED`].
    pub labelled: bool,
    /// See [`Stage::TRAINS`].
    pub trains: bool,
    /// See [`Stage::SPAWNS`].
    pub spawns: bool,
    /// See [`Stage::computes`]; parameters as JSON.
    pub computes: fn(&Value) -> bool,
    /// See [`Stage::ready`]; parameters as JSON.
    pub ready: fn(&Value, &Places) -> Result<(), StageError>,
    /// See [`Stage::precision`]; parameters as JSON.
    pub precision: fn(&Value) -> Result<Precision, StageError>,
    /// See [`Stage::UNKEYED`].
    pub unkeyed: &'static [&'static str],
    /// See [`Stage::external_files`]; parameters as JSON.
    pub external_files: fn(&Value, &Places) -> Result<ExternalFiles, StageError>,
    /// See [`Stage::source`].
    pub source: fn(&Value, &Places) -> Result<Option<PathBuf>, StageError>,
    /// See [`Stage::run`].
    pub run: fn(&Value, &mut Context) -> Result<(), StageError>,
}

/// The kind called `name`, if there is one.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.spec.kind == name)
}

/// What the front end must know of all kinds.
pub fn vocabulary() -> Vec<&'static KindSpec> {
    KINDS.iter().map(|kind| &kind.spec).collect()
}

const fn of<S: Stage>() -> Kind {
    Kind {
        spec: KindSpec {
            kind: S::KIND,
            section: S::SECTION,
            seeded: S::draws,
            references: S::REFERENCES,
            parse: parse::<S>,
            check_labels: if S::CHECKS_LABELS { Some(check_labels::<S>) } else { None },
            schema: S::json_schema,
        },
        code_version: S::CODE_VERSION,
        labelled: S::LABELLED,
        trains: S::TRAINS,
        spawns: S::SPAWNS,
        computes: S::computes,
        ready: |params, places| typed::<S>(params)?.ready(places),
        precision: |params| Ok(typed::<S>(params)?.precision()),
        unkeyed: S::UNKEYED,
        // Most stages read no files, and parameters of ten thousand take their time to be read.
        external_files: |params, places| match S::reads_files(params) {
            true => typed::<S>(params)?.external_files(places),
            false => Ok(ExternalFiles::new()),
        },
        source: |params, places| match S::reads_files(params) {
            true => Ok(typed::<S>(params)?.source(places)),
            false => Ok(None),
        },
        run: |params, context| typed::<S>(params)?.run(context),
    }
}

fn parse<S: Stage>(table: SpannedTable<'_>) -> Result<Value, Vec<ParamError>> {
    let stage = S::parse(table)?;
    stage.check().map_err(|error| vec![error])?;
    let value = serde_json::to_value(stage).map_err(refused)?;
    // Worker and plan read the parameters from this JSON: what does not come back as itself is refused here.
    typed::<S>(&value).map_err(refused)?;
    Ok(value)
}

fn check_labels<S: Stage>(params: &Value, labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
    // What cannot be read was refused before.
    typed::<S>(params).map_or(Ok(()), |stage| stage.check_labels(labels))
}

fn refused(error: impl std::fmt::Display) -> Vec<ParamError> {
    vec![ParamError::Refused { span: None, message: error.to_string() }]
}

/// Parameters that the front end accepted, as their own type again.
fn typed<S: Stage>(params: &Value) -> Result<S, StageError> {
    S::deserialize(params)
        .map_err(|error| StageError::Failed(anyhow::anyhow!("parameters of a {} stage: {error}", S::KIND)))
}
