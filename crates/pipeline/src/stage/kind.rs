//! What all stages of a kind have in common, and the table of kinds.

use super::{Stage, StageKind};
use crate::parameters::{ParamError, ReferenceSpec, Section, SpannedTable};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// All kinds of stages that a program has.
pub type Kinds = [&'static Kind];

/// One kind of stage.
pub struct Kind {
    /// The word in the experiment file, e.g. `"pretrain"`.
    pub name: &'static str,
    /// See [`StageKind::CODE_VERSION`].
    pub code_version: u32,
    /// See [`StageKind::SECTION`].
    pub section: Section,
    /// See [`StageKind::TRAINS`].
    pub trains: bool,
    /// See [`StageKind::SPAWNS`].
    pub spawns: bool,
    /// See [`StageKind::LABELLED`].
    pub labelled: bool,
    /// See [`StageKind::UNKEYED`].
    pub unkeyed: &'static [&'static str],
    /// See [`StageKind::REFERENCES`].
    pub references: &'static [ReferenceSpec],
    /// See [`StageKind::LEAVES`].
    pub leaves: &'static [&'static str],
    /// Decodes and checks the parameters of one stage, or says all that is wrong with them. `kind` and `matrix` have been
    /// taken out, and references have been replaced by [`INPUT`](crate::parameters::vocabulary::INPUT).
    pub parse: fn(SpannedTable<'_>) -> Result<Decoded, Vec<ParamError>>,
    /// Decodes parameters from the JSON of [`Decoded::params`].
    pub decode: fn(&Value) -> serde_json::Result<Arc<dyn Stage>>,
    /// The JSON Schema of its parameters: an object, with what [`Input`](crate::parameters::Input) stands for as any
    /// string.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// A stage with its parameters, decoded and as JSON.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The stage.
    pub stage: Arc<dyn Stage>,
    /// Its parameters with every default filled in: what keys and `plan --json` show, and what a worker is sent.
    pub params: Value,
}

impl Kind {
    /// The kind that `S` implements.
    pub const fn of<S: StageKind>() -> Kind {
        Kind {
            name: S::KIND,
            code_version: S::CODE_VERSION,
            section: S::SECTION,
            trains: S::TRAINS,
            spawns: S::SPAWNS,
            labelled: S::LABELLED,
            unkeyed: S::UNKEYED,
            references: S::REFERENCES,
            leaves: S::LEAVES,
            parse: parse::<S>,
            decode: |params| Ok(Arc::new(S::deserialize(params)?)),
            schema: S::json_schema,
        }
    }

    /// The kind called `name`, if `kinds` has it.
    pub fn named(kinds: &Kinds, name: &str) -> Option<&'static Kind> {
        kinds.iter().copied().find(|kind| kind.name == name)
    }

    /// Whether its stages leave a file called `file`.
    pub fn leaves(&self, file: &str) -> bool {
        self.leaves.contains(&file)
    }
}

/// A name stands for a kind: it is unique among [`Kinds`].
impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Kind").field(&self.name).finish()
    }
}

fn parse<S: StageKind>(table: SpannedTable<'_>) -> Result<Decoded, Vec<ParamError>> {
    let stage = S::parse(table)?;
    stage.check().map_err(|error| vec![error])?;
    let params = serde_json::to_value(&stage).map_err(|error| vec![refused(&error)])?;
    // The worker decodes this JSON. JSON has no infinity and no NaN: what it cannot hold is refused here.
    S::deserialize(&params).map_err(|error| vec![refused(&error)])?;
    Ok(Decoded { stage: Arc::new(stage), params })
}

fn refused(error: &serde_json::Error) -> ParamError {
    ParamError::Refused { span: None, message: error.to_string() }
}
