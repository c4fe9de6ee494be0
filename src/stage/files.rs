//! `files`: copies files that stages leave to the reports.

use super::outlook::Outlook;
use super::table::by_label;
use super::{Context, Foresight, InputFiles, Known, KnownInput, StageError, StageKind};
use crate::experiment::{Input, ParamError, ReferenceSpec, Section};
use crate::report::{self, FileName};
use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// `[[files]]`. Copies files of the stages `rows` to `FILE/LABEL@SEED/NAME`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Files {
    /// Name of the folder.
    file: FileName,
    /// Stages that leave the files, of any kind; all their seeds.
    rows: Input,
    /// Names of the files as the stages leave them, or patterns such as `"predictions/*.png"`: `*` stands for any characters but
    /// `/`, `**` for any. Each must be among the files of each stage.
    #[serde(default = "default_names")]
    names: Vec<String>,
}

/// All tables and facts, and no weights, masks or patches. Not every stage has both.
const DEFAULT_NAMES: [&str; 2] = ["*.csv", "*.json"];

fn default_names() -> Vec<String> {
    DEFAULT_NAMES.map(str::to_owned).into()
}

/// Whether `name` is a pattern and not the name of a file.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{', '\\'])
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    Ok(glob.map_err(|error| format!("`{pattern}` is not a valid pattern: {error}"))?.compile_matcher())
}

/// The names in `there` that `wanted` names or matches.
fn matching<'a>(wanted: &str, there: impl Iterator<Item = &'a String>) -> Result<Vec<&'a String>, String> {
    let pattern = if is_pattern(wanted) { Some(matcher(wanted)?) } else { None };
    let fits = |name: &&String| pattern.as_ref().map_or(*name == wanted, |pattern| pattern.is_match(name));
    Ok(there.filter(fits).collect())
}

/// What is said of a file that a stage does not leave.
fn missing<'a>(label: &str, wanted: &[String], there: impl Iterator<Item = &'a str>) -> String {
    /// Maximum number of names that are listed.
    const MOST: usize = 12;
    let mut there: Vec<&str> = there.collect();
    // A folder stands for all its files.
    let folders = there.iter().map(|name| name.find('/').map_or(*name, |end| &name[..=end])).collect();
    there = folders;
    there.dedup();
    let more = if there.len() > MOST { format!(" and {} more", there.len() - MOST) } else { String::new() };
    let shown = there[..there.len().min(MOST)].join(", ");
    format!("{label} leaves no file {}; it leaves {shown}{more}", wanted.join(" or "))
}

impl Files {
    fn has_default_names(&self) -> bool {
        self.names == DEFAULT_NAMES
    }

    /// Why `input` cannot have all files, as far as its kind or its declared outputs say; `None` if it may.
    fn problem(&self, input: &KnownInput<'_>) -> Option<String> {
        let named = || self.names.iter().filter(|name| !is_pattern(name));
        if let Some(Outlook::Files(outputs)) = Outlook::of(input) {
            let declares = |name: &String| {
                outputs.iter().any(|output| {
                    let is_below = Path::new(name).starts_with(output);
                    is_below || is_pattern(output) && matcher(output).is_ok_and(|output| output.is_match(name))
                })
            };
            let unknown = named().find(|name| !declares(name))?;
            return Some(missing(input.label, std::slice::from_ref(unknown), outputs.iter().map(String::as_str)));
        }
        let leaves = input.leaves;
        // A kind names no files in folders, such as the masks of an evaluation.
        let unknown = named().find(|name| !name.contains('/') && !leaves.contains(&name.as_str()))?;
        (!leaves.is_empty()).then(|| missing(input.label, std::slice::from_ref(unknown), leaves.iter().copied()))
    }

    /// The files of `input` to copy.
    fn chosen<'a>(&self, input: &'a InputFiles) -> Result<Vec<&'a String>, StageError> {
        let bad = |wanted: &[String]| {
            StageError::BadData(missing(&input.label, wanted, input.files.keys().map(String::as_str)))
        };
        let mut chosen: Vec<&String> = Vec::new();
        for wanted in &self.names {
            let found = matching(wanted, input.files.keys()).map_err(StageError::BadData)?;
            if found.is_empty() && !self.has_default_names() {
                return Err(bad(std::slice::from_ref(wanted)));
            }
            chosen.extend(found);
        }
        chosen.sort();
        chosen.dedup();
        if chosen.is_empty() { Err(bad(&self.names)) } else { Ok(chosen) }
    }
}

impl StageKind for Files {
    const KIND: &'static str = "files";
    const CODE_VERSION: u32 = 1;
    const SECTION: Section = Section::Files;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many(
        "rows",
        &["evaluate", "command", "finetune", "pretrain", "patchify", "dataset", "synthesize", "predict"],
    )
    .of_all_seeds()];

    fn check(&self) -> Result<(), ParamError> {
        let wrong = |message: String| Err(ParamError::Check { param: "names", message });
        if self.names.is_empty() {
            return wrong("expected at least one name of a file, e.g. `[\"per_image.csv\"]`".into());
        }
        for name in &self.names {
            let is_normal = |part| matches!(part, Component::Normal(_));
            if name.is_empty() || !Path::new(name).components().all(is_normal) {
                return wrong(format!("`{name}`: expected the name of a file as the stage leaves it, without `..`"));
            }
            if let (true, Err(message)) = (is_pattern(name), matcher(name)) {
                return wrong(message);
            }
        }
        Ok(())
    }

    fn reads(&self, _role: &str) -> Vec<String> {
        // With patterns all files are read, since a new one may match.
        if self.names.iter().any(|name| is_pattern(name)) { Vec::new() } else { self.names.clone() }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let mut problems: Vec<String> = known.inputs("rows").filter_map(|input| self.problem(input)).collect();
        // Of all seeds the same.
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let inputs = context.inputs("rows").to_vec();
        let labels = by_label(&inputs);
        let folders = report::safe_names(labels.iter().map(|(label, _)| *label));
        for ((_, seeds), folder) in labels.iter().zip(folders) {
            for &input in seeds {
                let folder = match input.seed {
                    Some(seed) => format!("{folder}@{seed}"),
                    None => folder.clone(),
                };
                let folder = context.out.join(self.file.as_str()).join(folder);
                if folder.exists() {
                    let message = format!("two stages have the label {}; give each its own in `rows`", input.label);
                    return Err(StageError::BadData(message));
                }
                for name in self.chosen(input)? {
                    let target = folder.join(name);
                    if let Some(parent) = target.parent() {
                        std::fs::create_dir_all(parent)?;
                    }
                    // Without the permissions: objects of the cache are read-only.
                    std::io::copy(&mut std::fs::File::open(input.file(name)?)?, &mut std::fs::File::create(target)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{context, params};
    use super::*;
    use std::path::PathBuf;

    fn input(folder: &Path, label: &str, seed: Option<u64>, names: &[&str]) -> InputFiles {
        let file = |name: &&str| {
            let path: PathBuf = folder.join(format!("{label}-{seed:?}")).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("{label} {seed:?} {name}")).unwrap();
            ((*name).to_owned(), path)
        };
        InputFiles { label: label.into(), seed, files: names.iter().map(file).collect(), source: None }
    }

    /// The files that `[[files]]` with `names` (JSON) copies, with their contents.
    fn copied(names: &str, inputs: impl Fn(&Path) -> Vec<InputFiles>) -> Result<Vec<(String, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut context = context(folder.path(), [("rows", inputs(folder.path()))]);
        let files: Files = params(&format!(r#"{{ "file": "errors", "rows": "<input>"{names} }}"#));
        files.check().map_err(|error| format!("{error:?}"))?;
        files.run(&mut context).map_err(|error| error.to_string())?;
        let (mut found, mut folders) = (Vec::new(), vec![context.out.clone()]);
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&context.out).unwrap().display().to_string();
                    found.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    #[test]
    fn each_seed_has_a_folder_with_the_chosen_files() {
        let inputs = |folder: &Path| {
            let names = ["per_image.csv", "metrics.json", "predictions/a.png", "notes.txt"];
            vec![input(folder, "MatSSL (ours)", Some(1), &names), input(folder, "baseline", None, &names)]
        };
        let names =
            |names: &str| -> Vec<String> { copied(names, inputs).unwrap().into_iter().map(|(name, _)| name).collect() };
        let one = copied(r#", "names": ["per_image.csv"]"#, inputs).unwrap();
        assert_eq!(
            one[0],
            ("errors/MatSSL--ours-@1/per_image.csv".into(), "MatSSL (ours) Some(1) per_image.csv".into())
        );
        assert_eq!(one[1], ("errors/baseline/per_image.csv".into(), "baseline None per_image.csv".into()));
        let of_default = names("");
        assert_eq!(of_default.len(), 4, "tables and facts, but neither texts nor masks: {of_default:?}");
        let masks = names(r#", "names": ["predictions/*.png", "*.txt", "notes.*"]"#);
        assert_eq!(masks[..2], ["errors/MatSSL--ours-@1/notes.txt", "errors/MatSSL--ours-@1/predictions/a.png"]);
        assert_eq!(masks.len(), 4, "a file that two patterns match is copied once: {masks:?}");
    }

    #[test]
    fn a_file_that_a_stage_does_not_leave_is_an_error_with_the_names() {
        let inputs = |folder: &Path| vec![input(folder, "x", None, &["a.txt", "masks/1.png", "masks/2.png"])];
        let error = copied(r#", "names": ["b.txt"]"#, inputs).unwrap_err();
        assert_eq!(error, "x leaves no file b.txt; it leaves a.txt, masks/");
        let twice = |folder: &Path| vec![input(folder, "x", None, &["a.csv"]), input(folder, "x", None, &["a.csv"])];
        assert_eq!(copied("", twice).unwrap_err(), "two stages have the label x; give each its own in `rows`");
        let error = copied("", inputs).unwrap_err();
        assert_eq!(error, "x leaves no file *.csv or *.json; it leaves a.txt, masks/");
        for (names, words) in
            [("[]", "at least one"), (r#"["../x"]"#, "without `..`"), (r#"["a[.csv"]"#, "not a valid pattern")]
        {
            let error = copied(&format!(r#", "names": {names}"#), inputs).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_foreseen_by_the_kind_and_by_declared_outputs() {
        let kind = |name: &str| super::super::Kind::named(super::super::KINDS, name).unwrap();
        let problem = |names: &str, kind_name: &str, outputs: Option<&[&str]>| {
            let files: Files = params(&format!(r#"{{ "file": "f", "rows": "<input>", "names": {names} }}"#));
            let outputs = outputs.map(|outputs| outputs.iter().map(|&output| output.to_owned()).collect());
            let prospect = outputs.and_then(|outputs| Outlook::Files(outputs).prospect());
            files.problem(&KnownInput {
                role: "rows",
                label: "x",
                seed: None,
                leaves: kind(kind_name).leaves,
                prospect,
            })
        };
        let misspelt = problem(r#"["per_imag.csv"]"#, "evaluate", None).unwrap();
        assert!(
            misspelt.starts_with("x leaves no file per_imag.csv; it leaves metrics.json, per_image.csv"),
            "{misspelt}"
        );
        for fine in [r#"["per_image.csv", "confusion.csv"]"#, r#"["predictions/a.png"]"#, r#"["*.csv"]"#] {
            assert_eq!(problem(fine, "evaluate", None), None, "{fine}");
        }
        let declared: &[&str] = &["scores.csv", "masks", "logs/*.txt"];
        for fine in ["scores.csv", "masks/1.png", "logs/a.txt"] {
            assert_eq!(problem(&format!("[{fine:?}]"), "command", Some(declared)), None, "{fine}");
        }
        let other = problem(r#"["other.csv"]"#, "command", Some(declared)).unwrap();
        assert_eq!(other, "x leaves no file other.csv; it leaves scores.csv, masks, logs/");
        assert_eq!(problem(r#"["other.csv"]"#, "command", None), None, "not known yet");
    }

    #[test]
    fn the_key_holds_only_what_is_copied() {
        let reads = |names: &str| {
            params::<Files>(&format!(r#"{{ "file": "f", "rows": "<input>", "names": {names} }}"#)).reads("rows")
        };
        assert_eq!(reads(r#"["confusion.csv"]"#), ["confusion.csv"]);
        assert_eq!(reads(r#"["confusion.csv", "*.json"]"#), [""; 0]);
    }
}
