//! `extends = "base.toml"`: an experiment that differs from another one.
//!
//! The base is read first, and the parts that `remove` names are dropped from it. Then the values of the extending file
//! override it, as `merge` says. All is taken over except for the `name`: two experiments of one name would write into
//! one folder of reports. A base may extend another.
//!
//! Relative paths of data sets start at the folder of the file that is run, whichever file holds them.

use super::diagnostic::Diagnostic;
use super::merge;
use super::source::{self, Sources};
use super::syntax::{self, wrong_type};
use crate::parameters::wording::{self, quote};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Maximum number of files that one file extends, directly or through others.
const DEEPEST: usize = 8;

/// A file and the files that it extends.
pub(super) struct Chain {
    /// Name and text of each, the last base first.
    pub(super) texts: Vec<(String, String)>,
    /// The same files from the experiment's own on.
    pub(super) files: Vec<PathBuf>,
    /// Why the last base cannot be read; its span is in the first of `texts`.
    pub(super) fault: Option<Diagnostic>,
}

/// Reads all that `text`, the content of `path`, extends.
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

/// The path without links and `..`: the same for the same file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The base that `text` names, with its text. Other errors in `text` are not reported here.
fn base_of(path: &Path, text: &str, seen: &[PathBuf]) -> Result<Option<(PathBuf, String)>, Diagnostic> {
    // Most files extend nothing and need not be parsed twice. A quoted key may hide the word behind escapes.
    if !text.contains("extends") && !text.contains('\\') {
        return Ok(None);
    }
    let Some(root) = syntax::parse(text, &mut Vec::new()) else { return Ok(None) };
    let Some(value) = root.get("extends") else { return Ok(None) };
    let DeValue::String(name) = value.get_ref() else {
        let fault = wrong_type("extends", value, "the path of an experiment file");
        return Err(fault.help("`extends = \"base.toml\"` is a file in the folder of this one".to_string()));
    };
    let base = path.parent().unwrap_or(Path::new("")).join(name.as_ref());
    if let Some(first) = seen.iter().position(|file| *file == identity(&base)) {
        let circle = match seen.len() - first {
            1 => "this file itself".to_string(),
            files => format!("a file that extends this one, through {}", wording::count(files - 1, "file")),
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
                .note("a relative path starts at the folder of the file that holds it".to_string()))
        }
    }
}

/// One tree of all files; `None` if one of them is not TOML.
pub(super) fn merged<'i>(sources: &'i Sources, faults: &mut Vec<Diagnostic>) -> Option<DeTable<'i>> {
    let mut trees = Vec::new();
    for (text, start) in sources.files() {
        let before = faults.len();
        let tree = syntax::parse(text, faults);
        if start > 0 {
            let own = faults.split_off(before);
            faults.extend(own.into_iter().map(|fault| fault.shifted(start)));
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

/// Adds an error if another of the files has the same name: reports go into a folder of that name.
fn own_name<'i>(name: &Spanned<DeValue<'i>>, others: &[Spanned<DeValue<'i>>], faults: &mut Vec<Diagnostic>) {
    let same = |other: &&Spanned<DeValue<'i>>| other.get_ref().as_str() == name.get_ref().as_str();
    if let Some(other) = others.iter().find(same).filter(|_| name.get_ref().is_str()) {
        let text = name.get_ref().as_str().unwrap_or_default();
        faults.push(
            Diagnostic::new(name.span(), format!("two experiments are called {}", quote(text)))
                .label("this one extends the other")
                .other(other.span(), "the other")
                .note("the reports go into a folder of this name, so each experiment needs its own".to_string()),
        );
    }
}
