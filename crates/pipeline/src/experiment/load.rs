//! From a file to an experiment, or to all that is wrong with the file.

use super::diagnostic::{self, Diagnostic, Diagnostics};
use super::{Experiment, document, expand, extend, instances, order, overrides, source};
use crate::parameters::wording;
use crate::stage::Kinds;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why there is no experiment.
#[derive(Debug)]
pub enum Rejected {
    /// The file cannot be read as text.
    Unreadable {
        /// The file as the caller named it.
        path: PathBuf,
        /// Why it cannot be read.
        message: String,
    },
    /// The text is not a valid experiment.
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
pub fn load(path: &Path, overrides: &[String], kinds: &Kinds) -> Result<Experiment, Rejected> {
    let text = source::read(path).map_err(|message| Rejected::Unreadable { path: path.into(), message })?;
    parse_text(path, text, overrides, kinds).map_err(Rejected::Wrong)
}

/// [`load`] for a text that is already read. `path` is what messages call it, and where files that it extends are
/// looked up; it need not be there.
///
/// # Errors
/// All that is wrong in it.
pub fn parse_text(path: &Path, text: String, overrides: &[String], kinds: &Kinds) -> Result<Experiment, Diagnostics> {
    let chain = extend::chain(path, text);
    let sources = source::Sources::new(chain.texts, overrides);
    let mut faults = Vec::new();
    if let Some(fault) = chain.fault {
        // Without its base the file cannot be judged.
        return Err(Diagnostics::new(sources, vec![fault]));
    }
    let experiment = build(chain.files, &sources, kinds, &mut faults);
    match experiment {
        Some(experiment) if faults.is_empty() => Ok(experiment),
        _ => Err(Diagnostics::new(sources, faults)),
    }
}

/// `None`, or an experiment with gaps, if there are `faults`.
fn build(
    files: Vec<PathBuf>,
    sources: &source::Sources,
    kinds: &Kinds,
    faults: &mut Vec<Diagnostic>,
) -> Option<Experiment> {
    let mut root = extend::merged(sources, faults)?;
    overrides::apply(&mut root, sources, faults);
    let document = document::read(root, sources, kinds, faults)?;
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
