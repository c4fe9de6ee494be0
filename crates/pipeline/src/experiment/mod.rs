//! From a TOML file to typed, expanded, resolved stages. No tensors here, and no I/O but the file itself.
//!
//! [`load`] runs the rooms of the house in turn: `extend` and `merge` (the file over those that it extends), `source`
//! (the texts and the `--set` flags), `document` (families of stages with their spans and `limits`), `order` (who needs
//! whom, circles), `expand` (each family's members: `matrix`, `resolve`, parameters), `instances` (seeds and edges).
//! Each adds what is wrong to one list of diagnostics, so that all of it is said at once. What the kinds of stages are
//! called and which parameters they take is not known here: it comes in as a [`Vocabulary`].

mod choice;
mod deserialize;
mod diagnostic;
mod document;
mod expand;
mod extend;
mod families;
mod include;
mod inspect;
mod instances;
mod interval;
mod limits;
mod matrix;
mod member;
mod merge;
mod mismatch;
mod order;
mod overrides;
mod parameters;
mod pattern;
mod resolve;
mod schema;
mod shape;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
pub mod vocabulary;
mod wording;

pub use deserialize::deserialize;
use diagnostic::Diagnostic;
pub use diagnostic::Diagnostics;
pub use interval::Interval;
pub use limits::Limits;
pub use mismatch::{Fault, Mismatch};
pub use pattern::Named;
pub use schema::schema;
pub use vocabulary::{
    Input, KindSpec, LabelledInput, MaybeInput, ParamError, ReferenceSpec, Section, SpannedTable, Vocabulary,
};
pub use wording::is_file_name;

use std::fmt;
use std::path::{Path, PathBuf};

/// What an experiment file says, expanded and resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// `name`: fit to name a folder.
    pub name: String,
    /// `title`, or the name.
    pub title: String,
    /// `seeds`, as given.
    pub seeds: Vec<u64>,
    /// Every stage, after those it takes inputs from.
    pub instances: Vec<Instance>,
    /// The file as the caller named it.
    pub path: PathBuf,
    /// Every file that was read: `path`, the file that it extends, the file that that one extends, …
    pub files: Vec<PathBuf>,
}

/// One node of the graph: one member of a family, for one seed if it is repeated for seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Unique: family, labels of its axes, and `@seed` if it is repeated for seeds: `"ssl.matssl.all@0"`.
    pub name: String,
    /// The name in the file: `"ssl"`, `"tables.table4"`.
    pub family: String,
    /// The matrix's keys with the label of this member's value, in the file's order.
    pub axes: Vec<(String, String)>,
    /// `None` for a stage that draws nothing at random and rests on nothing that does.
    pub seed: Option<u64>,
    /// The word of its kind.
    pub kind: &'static str,
    /// Every parameter, with defaults filled in, and [`vocabulary::INPUT`] in place of names of stages.
    pub params: serde_json::Value,
    /// Stages it takes inputs from: by parameter in the order of [`KindSpec::references`], then in the file's order.
    pub inputs: Vec<InputRef>,
    /// How it is run; the same for all members of a family, and never part of a key.
    pub limits: Limits,
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
    /// The parameter that names it ([`ReferenceSpec::param`]).
    pub role: &'static str,
    /// Index into [`Experiment::instances`]; always smaller than that of the stage that takes it.
    pub instance: usize,
    /// Its name without seed, or the key that a label → name table gives it.
    pub label: String,
}

/// Why there is no experiment.
#[derive(Debug)]
pub enum Rejected {
    /// The file cannot be read as text.
    Unreadable {
        /// The file as the caller named it.
        path: PathBuf,
        /// What is in the way.
        message: String,
    },
    /// The text is not a right experiment.
    Wrong(Diagnostics),
}

impl Rejected {
    /// The message for a terminal (`color`) or a pipe; ends with a newline.
    pub fn render(&self, color: bool) -> String {
        match self {
            Rejected::Unreadable { path, message } => diagnostic::render_unplaced(
                &format!("cannot read {}: {message}", wording::escape(&path.display().to_string())),
                color,
            ),
            Rejected::Wrong(diagnostics) => diagnostics.render(color),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Rejected {}

/// Reads the experiment at `path`, with `overrides` (each the `KEY.PATH=VALUE` of one `--set`) put in.
///
/// # Errors
/// [`Rejected::Unreadable`] if there is no such text, [`Rejected::Wrong`] with all that is wrong in it.
pub fn load(path: &Path, overrides: &[String], vocabulary: &Vocabulary) -> Result<Experiment, Rejected> {
    let text = source::read(path).map_err(|message| Rejected::Unreadable { path: path.into(), message })?;
    parse_text(path, text, overrides, vocabulary).map_err(Rejected::Wrong)
}

/// [`load`] for a text that is already read. `path` is what messages call it, and where files that it extends are
/// looked up; it need not be there.
///
/// # Errors
/// All that is wrong in it.
pub fn parse_text(
    path: &Path,
    text: String,
    overrides: &[String],
    vocabulary: &Vocabulary,
) -> Result<Experiment, Diagnostics> {
    let chain = extend::chain(path, text);
    let sources = source::Sources::new(chain.texts, overrides);
    let mut faults = Vec::new();
    if let Some(fault) = chain.fault {
        // What stands on a base that is not there cannot be judged.
        return Err(Diagnostics::new(sources, vec![fault]));
    }
    let experiment = build(chain.files, &sources, vocabulary, &mut faults);
    match experiment {
        Some(experiment) if faults.is_empty() => Ok(experiment),
        _ => Err(Diagnostics::new(sources, faults)),
    }
}

/// `None`, or an experiment with gaps, if there are `faults`.
fn build(
    files: Vec<PathBuf>,
    sources: &source::Sources,
    vocabulary: &Vocabulary,
    faults: &mut Vec<Diagnostic>,
) -> Option<Experiment> {
    let mut root = extend::merged(sources, faults)?;
    overrides::apply(&mut root, sources, faults);
    let document = document::read(root, sources, vocabulary, faults)?;
    let order = order::of(&document.families, faults);
    let made = expand::all(&document, &order, faults);
    let instances = instances::all(&document, &order, made, faults)?;
    Some(Experiment {
        name: document.name,
        title: document.title,
        seeds: document.seeds,
        instances,
        path: files.first().cloned().unwrap_or_default(),
        files,
    })
}
