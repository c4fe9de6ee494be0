//! Kinds of stages: the trait that a kind implements, and the engine's view of a kind and of a stage.

use super::{Context, ExternalFiles, Foresight, Known, Places, StageError, Uses};
use crate::parameters::{self, Division, LabelledInput, ParamError, ReferenceSpec, Section, SpannedTable};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::Arc;

/// One kind of stage. The implementing type holds the parameters of one stage as the user writes them.
///
/// A stage is a pure function of its parameters, its seed and the contents of its inputs. It reads the inputs in its
/// [`Context`], writes files into `context.out`, and knows nothing of caches, processes or other stages.
pub trait StageKind: Serialize + DeserializeOwned + JsonSchema + Debug + Send + Sync + 'static {
    /// The word in the experiment file.
    const KIND: &'static str;
    /// Part of the key. Increase it when the same inputs produce different bytes.
    const CODE_VERSION: u32;
    /// Its section in the experiment file.
    const SECTION: Section = Section::Stages;
    /// Whether it is a training, with checkpoints and a line of progress.
    const TRAINS: bool = false;
    /// Whether it only runs another program and waits for it, and so needs no worker process.
    const SPAWNS: bool = false;
    /// Whether the labels of inputs enter the output (and so the key).
    const LABELLED: bool = false;
    /// Parameters (dotted for nested ones) that only name locations: not part of the key.
    const UNKEYED: &'static [&'static str] = &[];
    /// Parameters that name other stages.
    const REFERENCES: &'static [ReferenceSpec] = &[];
    /// Parameters that divide a stage into several, if it has such.
    const DIVIDED: Option<Division> = None;
    /// Names of its output files that other stages read: all that it leaves outside of folders; empty if its parameters say
    /// which these are.
    const LEAVES: &'static [&'static str] = &[];

    /// Reads the parameters. Override this only where the name in a parameter decides which other keys it takes
    /// (`method = { name = "matssl", … }`).
    ///
    /// # Errors
    /// All errors in the table, each with its location.
    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        parameters::deserialize(table)
    }

    /// Checks relations between the parameters, which their types cannot express.
    ///
    /// # Errors
    /// The parameter to underline, and the remedy.
    fn check(&self) -> Result<(), ParamError> {
        Ok(())
    }

    /// Replaces what its parameters leave open by what holds for this experiment on this machine, e.g. `batch_size = "auto"` by a
    /// number, so that keys, plans and records hold what was decided. `inputs` are the stages that it reads.
    ///
    /// # Errors
    /// As [`StageKind::check`].
    fn settle(self, _inputs: &mut InputStages<'_>) -> Result<Self, ParamError> {
        Ok(self)
    }

    /// What [`StageKind::settle`] has decided by this machine, as written in an experiment file (`batch_size = 16`).
    fn settled(&self) -> Option<String> {
        None
    }

    /// Checks relations between the parameters and the labels of the inputs, once these are known.
    ///
    /// # Errors
    /// As [`StageKind::check`].
    fn check_labels(&self, _labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        Ok(())
    }

    /// Whether it draws random numbers from the experiment's seed, and so is repeated for each seed.
    fn draws(&self) -> bool {
        false
    }

    /// Whether it takes all seeds of the stages that the parameter `role` names, though the parameter does not always
    /// ([`ReferenceSpec::all_seeds`]).
    fn gathers_seeds(&self, _role: &str) -> bool {
        false
    }

    /// Whether it computes on the device of the run, e.g. a GPU.
    fn computes(&self) -> bool {
        false
    }

    /// The setting that requires a GPU, as written in the file (`precision = "bf16"`); `None` if a CPU suffices.
    fn needs_gpu(&self) -> Option<String> {
        None
    }

    /// What of it cannot run on a GPU yet, as written in the file (`architecture = "swin-unet"`); `None` if all of it can.
    fn needs_cpu(&self) -> Option<String> {
        None
    }

    /// What of the network that it leaves cannot run on a GPU yet, likewise: stages that compute with it need a CPU, too.
    fn output_needs_cpu(&self) -> Option<String> {
        None
    }

    /// The images that it trains on and scores. Leak detection needs this from every kind that trains or scores.
    fn uses(&self) -> Uses {
        Uses::default()
    }

    /// Checks, before any stage starts, that its requirements besides data exist, e.g. a program.
    ///
    /// # Errors
    /// [`StageError::NotThere`] names what is missing.
    fn ready(&self, _places: &Places) -> Result<(), StageError> {
        Ok(())
    }

    /// Files outside the cache that this stage reads: (name inside the data set, path). Sorted by name.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if the folder is missing.
    fn external_files(&self, _places: &Places) -> Result<ExternalFiles, StageError> {
        Ok(Vec::new())
    }

    /// The folder of [`StageKind::external_files`]; later stages read the files there.
    fn source(&self, _places: &Places) -> Option<PathBuf> {
        None
    }

    /// What to fetch, and from where, if files that it reads are not there. Names no folder of this machine, because tables print
    /// it.
    fn wants(&self, _places: &Places) -> Option<String> {
        None
    }

    /// Whether it can do without inputs whose files are not there.
    fn tolerates(&self) -> bool {
        false
    }

    /// The stage without the inputs `absent` (by label: what is to be fetched), if it [tolerates](StageKind::tolerates) that.
    fn without(&self, _absent: &BTreeMap<String, String>) -> Option<Self> {
        None
    }

    /// The output files of an input of `role` that it reads: only their contents are in its key, and of the files that the
    /// input's kind [leaves](StageKind::LEAVES) it sees no others. Empty: all files.
    fn reads(&self, _role: &str) -> Vec<String> {
        Vec::new()
    }

    /// What it knows of its run from what is known of its inputs. Called before anything starts, and again when the data
    /// sets are checked. Whatever would fail later for the same reason should share the check with [`StageKind::run`].
    fn foresee(&self, known: &Known<'_>) -> Foresight;

    /// Does the work.
    ///
    /// # Errors
    /// A [`StageError`] about data, weights or numbers; the attempt then has no effect.
    fn run(&self, context: &mut Context) -> Result<(), StageError>;
}

/// One stage of any kind with decoded parameters, as plan, run and worker hold it. Every [`StageKind`] implements it.
pub trait Stage: Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static Kind;
    /// See [`StageKind::settled`].
    fn settled(&self) -> Option<String>;
    /// See [`StageKind::check_labels`].
    ///
    /// # Errors
    /// As there.
    fn check_labels(&self, labels: &[LabelledInput<'_>]) -> Result<(), ParamError>;
    /// See [`StageKind::draws`].
    fn draws(&self) -> bool;
    /// See [`StageKind::gathers_seeds`].
    fn gathers_seeds(&self, role: &str) -> bool;
    /// See [`StageKind::computes`].
    fn computes(&self) -> bool;
    /// See [`StageKind::needs_gpu`].
    fn needs_gpu(&self) -> Option<String>;
    /// See [`StageKind::needs_cpu`].
    fn needs_cpu(&self) -> Option<String>;
    /// See [`StageKind::output_needs_cpu`].
    fn output_needs_cpu(&self) -> Option<String>;
    /// See [`StageKind::uses`].
    fn uses(&self) -> Uses;
    /// See [`StageKind::ready`].
    ///
    /// # Errors
    /// As there.
    fn ready(&self, places: &Places) -> Result<(), StageError>;
    /// See [`StageKind::external_files`].
    ///
    /// # Errors
    /// As there.
    fn external_files(&self, places: &Places) -> Result<ExternalFiles, StageError>;
    /// See [`StageKind::source`].
    fn source(&self, places: &Places) -> Option<PathBuf>;
    /// See [`StageKind::wants`].
    fn wants(&self, places: &Places) -> Option<String>;
    /// See [`StageKind::tolerates`].
    fn tolerates(&self) -> bool;
    /// See [`StageKind::without`].
    fn without(&self, absent: &BTreeMap<String, String>) -> Option<Decoded>;
    /// See [`StageKind::reads`].
    fn reads(&self, role: &str) -> Vec<String>;

    /// See [`StageKind::foresee`].
    fn foresee(&self, known: &Known<'_>) -> Foresight;
    /// See [`StageKind::run`].
    ///
    /// # Errors
    /// As there.
    fn run(&self, context: &mut Context) -> Result<(), StageError>;
    /// The stage itself, for callers that know its type.
    fn as_any(&self) -> &dyn std::any::Any;
}

impl<S: StageKind> Stage for S {
    fn kind(&self) -> &'static Kind {
        const { &Kind::of::<S>() }
    }

    fn settled(&self) -> Option<String> {
        S::settled(self)
    }

    fn check_labels(&self, labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        S::check_labels(self, labels)
    }

    fn draws(&self) -> bool {
        S::draws(self)
    }

    fn gathers_seeds(&self, role: &str) -> bool {
        S::gathers_seeds(self, role)
    }

    fn computes(&self) -> bool {
        S::computes(self)
    }

    fn needs_gpu(&self) -> Option<String> {
        S::needs_gpu(self)
    }

    fn needs_cpu(&self) -> Option<String> {
        S::needs_cpu(self)
    }

    fn output_needs_cpu(&self) -> Option<String> {
        S::output_needs_cpu(self)
    }

    fn uses(&self) -> Uses {
        S::uses(self)
    }

    fn ready(&self, places: &Places) -> Result<(), StageError> {
        S::ready(self, places)
    }

    fn external_files(&self, places: &Places) -> Result<ExternalFiles, StageError> {
        S::external_files(self, places)
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        S::source(self, places)
    }

    fn wants(&self, places: &Places) -> Option<String> {
        S::wants(self, places)
    }

    fn tolerates(&self) -> bool {
        S::tolerates(self)
    }

    fn without(&self, absent: &BTreeMap<String, String>) -> Option<Decoded> {
        let stage = S::without(self, absent)?;
        let params = serde_json::to_value(&stage).ok()?;
        Some(Decoded { stage: Arc::new(stage), params })
    }

    fn reads(&self, role: &str) -> Vec<String> {
        StageKind::reads(self, role)
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        S::foresee(self, known)
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        S::run(self, context)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// The stages that a stage reads, in the file's order. Empty if the experiment has faults.
pub type InputStages<'a> = dyn Iterator<Item = InputStage<'a>> + 'a;

/// A stage that another one reads.
#[derive(Clone, Copy, Debug)]
pub struct InputStage<'a> {
    /// The parameter that names it.
    pub param: &'static str,
    /// Its label, as in [`InputFiles::label`](super::InputFiles::label).
    pub label: &'a str,
    /// Its parameters.
    pub stage: &'a dyn Stage,
}

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
    /// See [`StageKind::DIVIDED`].
    pub divided: Option<Division>,
    /// See [`StageKind::LEAVES`].
    pub leaves: &'static [&'static str],
    /// Decodes, checks and [settles](StageKind::settle) the parameters of one stage, or returns all their errors. `kind` and `matrix`
    /// have been removed, and references replaced by [`INPUT`](crate::parameters::vocabulary::INPUT).
    pub parse: fn(SpannedTable<'_>, &mut InputStages<'_>) -> Result<Decoded, Vec<ParamError>>,
    /// Decodes parameters from the JSON of [`Decoded::params`].
    pub decode: fn(&Value) -> serde_json::Result<Arc<dyn Stage>>,
    /// The JSON Schema of its parameters: an object, with any string in place of [`Input`](crate::parameters::Input).
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// A stage with its parameters, decoded and as JSON.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The stage.
    pub stage: Arc<dyn Stage>,
    /// Its parameters with every default filled in, as in keys, `plan --json` and the job of a worker.
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
            divided: S::DIVIDED,
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

    /// Whether its stages write a file called `file`.
    pub fn leaves(&self, file: &str) -> bool {
        self.leaves.contains(&file)
    }
}

/// Kinds are compared by name, which is unique among [`Kinds`].
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

fn parse<S: StageKind>(table: SpannedTable<'_>, inputs: &mut InputStages<'_>) -> Result<Decoded, Vec<ParamError>> {
    let stage = S::parse(table)?;
    stage.check().map_err(|error| vec![error])?;
    let stage = stage.settle(inputs).map_err(|error| vec![error])?;
    let params = serde_json::to_value(&stage).map_err(|error| vec![refused(&error)])?;
    Ok(Decoded { stage: Arc::new(stage), params })
}

fn refused(error: &serde_json::Error) -> ParamError {
    ParamError::Refused { span: None, message: error.to_string() }
}
