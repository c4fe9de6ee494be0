//! What is known of a stage before it runs: what it will leave, and why it must fail.

use super::Places;
use crate::cache::{Record, Store};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

/// What a stage will leave, as far as it is known before the stage runs. Its type is an agreement among the kinds of a
/// program.
pub type Prospect = Arc<dyn Any + Send + Sync>;

/// An input of a stage that has not run yet.
pub struct KnownInput<'a> {
    /// The parameter that names it.
    pub role: &'a str,
    /// Its label, as in [`InputFiles::label`](super::InputFiles::label).
    pub label: &'a str,
    /// Its seed.
    pub seed: Option<u64>,
    /// Names of the files that its kind leaves: its `LEAVES`.
    pub leaves: &'static [&'static str],
    /// What its stage leaves; `None` if that is not known yet.
    pub prospect: Option<Prospect>,
}

/// The output of a finished stage. If only the remote has it, a file is brought when it is asked for: not all of them, which
/// may be many images.
pub struct KnownOutput<'a> {
    record: &'a Record,
    store: &'a Store,
}

impl<'a> KnownOutput<'a> {
    pub(crate) fn new(record: &'a Record, store: &'a Store) -> Self {
        KnownOutput { record, store }
    }

    /// Path of the file `name`; `None` if the stage left no such file.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let output = self.record.outputs.iter().find(|output| output.path == name)?;
        Some(self.store.object(output.digest))
    }
}

/// What is known of a stage before it runs.
pub struct Known<'a> {
    /// The output of the stage itself, if it has no inputs and has finished.
    pub output: Option<KnownOutput<'a>>,
    /// Its inputs, in the file's order.
    pub inputs: Vec<KnownInput<'a>>,
    /// The seed of its run.
    pub seed: u64,
    /// Where its files are.
    pub places: &'a Places,
}

impl<'a> Known<'a> {
    /// The inputs of `role`.
    pub fn inputs(&self, role: &str) -> impl Iterator<Item = &KnownInput<'a>> {
        self.inputs.iter().filter(move |input| input.role == role)
    }
}

/// What a stage foresees of its run.
#[derive(Clone, Default)]
pub struct Foresight {
    /// What it will leave, if it knows that.
    pub prospect: Option<Prospect>,
    /// Why it must fail, in the words of the later error. Without the name of the stage, so that equal problems of
    /// several stages are one.
    pub problems: Vec<String>,
    /// What is suspicious, but no error.
    pub warnings: Vec<String>,
}

impl Foresight {
    /// Nothing is known.
    pub fn nothing() -> Self {
        Foresight::default()
    }

    /// It must fail for the reason in `checked`, or else leaves `prospect`.
    pub fn of(checked: Result<Option<Prospect>, String>) -> Self {
        match checked {
            Ok(prospect) => Foresight { prospect, ..Foresight::default() },
            Err(problem) => Foresight { problems: vec![problem], ..Foresight::default() },
        }
    }
}
