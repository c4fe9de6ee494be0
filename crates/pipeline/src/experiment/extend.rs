//! `extends = "base.toml"`: an experiment that says only what it does otherwise than another.
//!
//! The base is read first and what `remove` names is dropped from it; then the values of the extending file are put
//! over it, as `merge` says. Everything is taken over but the `name`: two experiments of one name would write into one
//! folder of reports. A base may extend another.
//!
//! Paths of data sets are looked up beside the file that is run, whichever file says them.

use super::diagnostic::Diagnostic;
use super::merge;
use super::source::{self, Sources};
use super::syntax::{self, wrong_type};
use super::wording::{self, quote};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How many files may stand behind one.
const DEEPEST: usize = 8;

/// A file and those that it rests on.
pub(super) struct Chain {
    /// Name and text, the deepest base first.
    pub(super) texts: Vec<(String, String)>,
    /// The same files from the experiment's own on.
    pub(super) files: Vec<PathBuf>,
    /// Why it ends where it ends, if it should not: said of the first of `texts`.
    pub(super) fault: Option<Diagnostic>,
}

/// Reads the bases of `text`, the content of `path`.
pub(super) fn chain(path: &Path, text: String) -> Chain {
    let mut chain = Chain { texts: Vec::new(), files: vec![path.to_path_buf()], fault: None };
    let mut seen = vec![identity(path)];
    let mut next = Some((path.to_path_buf(), text));
    while let Some((path, text)) = next.take() {
        match base_of(&path, &text, &seen) {
            Ok(Some((base, base_text))) => {
                seen.push(identity(&base));
                chain.files.push(base.clone());
                next = Some((base, base_text));
            }
            Ok(None) => {}
            Err(fault) => chain.fault = Some(fault),
        }
        chain.texts.push((path.display().to_string(), text));
    }
    chain.texts.reverse();
    chain
}

/// The same file has the same identity, whatever it is called.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The base that `text` names, with its text. What else is wrong with `text` is not said here.
fn base_of(path: &Path, text: &str, seen: &[PathBuf]) -> Result<Option<(PathBuf, String)>, Diagnostic> {
    // Most files extend nothing, and need not be parsed twice. A quoted key may hide the word behind escapes.
    if !text.contains("extends") && !text.contains('\\') {
        return Ok(None);
    }
    let Some(root) = syntax::parse(text, &mut Vec::new()) else { return Ok(None) };
    let Some(value) = root.get("extends") else { return Ok(None) };
    let DeValue::String(name) = value.get_ref() else {
        let fault = wrong_type("extends", value, "the path of an experiment file");
        return Err(fault.help("`extends = \"base.toml\"` is looked up beside this file".to_string()));
    };
    let base = path.parent().unwrap_or(Path::new("")).join(name.as_ref());
    if let Some(at) = seen.iter().position(|file| *file == identity(&base)) {
        let circle = match seen.len() - at {
            1 => "this file".to_string(),
            files => format!("a file that rests on this one, by way of {}", wording::count(files - 1, "file")),
        };
        let fault = Diagnostic::new(value.span(), format!("{} extends itself", quote(name)));
        return Err(fault.label(format!("this is {circle}")));
    }
    if seen.len() > DEEPEST {
        let fault = Diagnostic::new(value.span(), format!("more than {DEEPEST} files extend one another"));
        return Err(fault.label("no further file is read"));
    }
    match source::read_base(&base) {
        Ok(text) => Ok(Some((base, text))),
        Err(message) => {
            Err(Diagnostic::new(value.span(), format!("cannot read {}", quote(&base.display().to_string())))
                .label(wording::escape(&message))
                .note("the path is looked up beside the file that says it".to_string()))
        }
    }
}

/// One tree of all files; `None` if one of them is no TOML.
pub(super) fn merged<'i>(sources: &'i Sources, faults: &mut Vec<Diagnostic>) -> Option<DeTable<'i>> {
    let mut trees = Vec::new();
    for (text, start) in sources.files() {
        let before = faults.len();
        let tree = syntax::parse(text, faults);
        if start > 0 {
            let said = faults.split_off(before);
            faults.extend(said.into_iter().map(|fault| fault.shifted(start)));
        }
        trees.push(tree.map(|tree| if start > 0 { syntax::shifted_table(tree, start) } else { tree }));
    }
    let trees: Vec<DeTable<'i>> = trees.into_iter().collect::<Option<_>>()?;
    let mut root: Option<DeTable<'i>> = None;
    let mut names = Vec::new();
    for mut tree in trees {
        tree.remove("extends");
        let remove = tree.remove("remove");
        if let Some(name) = tree.get("name") {
            own_name(name, &names, faults);
            names.push(name.clone());
        }
        root = Some(match (root, remove) {
            (Some(mut base), remove) => {
                base.remove("name");
                if let Some(remove) = remove {
                    merge::remove(&mut base, &remove, faults);
                }
                merge::over(&mut base, tree, faults);
                base
            }
            (None, Some(remove)) => {
                faults.push(
                    Diagnostic::new(remove.span(), "`remove` drops parts of the file that `extends` names")
                        .label("this file extends none")
                        .help(merge::RULE.to_string()),
                );
                tree
            }
            (None, None) => tree,
        });
    }
    root
}

/// Reports are filed under the name.
fn own_name<'i>(name: &Spanned<DeValue<'i>>, others: &[Spanned<DeValue<'i>>], faults: &mut Vec<Diagnostic>) {
    let same = |other: &&Spanned<DeValue<'i>>| other.get_ref().as_str() == name.get_ref().as_str();
    if let Some(other) = others.iter().find(same).filter(|_| name.get_ref().is_str()) {
        let text = name.get_ref().as_str().unwrap_or_default();
        faults.push(
            Diagnostic::new(name.span(), format!("two experiments are called {}", quote(text)))
                .label("this one extends the other")
                .other(other.span(), "the other")
                .note("results are filed under this name, so each needs its own".to_string()),
        );
    }
}
