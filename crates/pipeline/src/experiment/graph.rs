//! An experiment as a graph of stages.

use super::Limits;
use crate::stage::{Kind, Stage};
use std::path::PathBuf;
use std::sync::Arc;

/// The content of an experiment file, expanded and resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// `name`, which is a valid folder name.
    pub name: String,
    /// `title`, or the name.
    pub title: String,
    /// `seeds`, as given.
    pub seeds: Vec<u64>,
    /// All stages, each after its inputs.
    pub instances: Vec<Instance>,
    /// The file as the caller named it.
    pub path: PathBuf,
    /// All files that were read: `path`, the file that it extends, the file that this one extends, …
    pub files: Vec<PathBuf>,
}

/// One node of the graph: one member of a family, for one seed if it is repeated.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Unique name: family, labels of its axes, and `@seed` if it is repeated for seeds: `"ssl.matssl.all@0"`.
    pub name: String,
    /// The name in the file: `"ssl"`, `"tables.table4"`.
    pub family: String,
    /// The matrix's keys with the label of this member's value, in the file's order.
    pub axes: Vec<(String, String)>,
    /// Its seed; `None` if neither it nor a stage that it depends on draws at random.
    pub seed: Option<u64>,
    /// Its kind.
    pub kind: &'static Kind,
    /// The stage with its parameters decoded.
    pub stage: Arc<dyn Stage>,
    /// The same parameters as JSON, with defaults filled in, and [`INPUT`](crate::parameters::vocabulary::INPUT) in place of names of stages.
    pub params: serde_json::Value,
    /// Its inputs: by parameter in the order of [`Kind::references`], then in the file's order.
    pub inputs: Vec<InputRef>,
    /// Limits of its run; the same for all members of a family, and never part of a key.
    pub limits: Limits,
}

/// Compares parameters instead of the stage that was decoded from them.
impl PartialEq for Instance {
    fn eq(&self, other: &Instance) -> bool {
        let Instance { name, family, axes, seed, kind, stage: _, params, inputs, limits } = self;
        (name, family, axes, seed, kind) == (&other.name, &other.family, &other.axes, &other.seed, &other.kind)
            && (params, inputs, limits) == (&other.params, &other.inputs, &other.limits)
    }
}

impl Instance {
    /// The name without its seed.
    pub fn label(&self) -> &str {
        match self.seed {
            Some(_) => self.name.rsplit_once('@').map_or(&self.name, |(label, _)| label),
            None => &self.name,
        }
    }
}

/// One edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRef {
    /// The parameter that names it ([`ReferenceSpec::param`](super::ReferenceSpec::param)).
    pub role: &'static str,
    /// Index into [`Experiment::instances`]; always smaller than that of the stage that reads it.
    pub instance: usize,
    /// Its name without seed, or its key in a label → name table.
    pub label: String,
}
