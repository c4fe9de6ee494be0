//! `data_table`: lists the contents of data sets and the number of patches cut from them.

use super::errors::data_error;
use super::outlook::Outlook;
use super::table::by_label;
use super::{Context, Foresight, InputFiles, Known, StageError, StageKind, patchify};
use crate::data::patches::{Edge, PatchParams, Patches, Use};
use crate::data::survey::patches;
use crate::data::{Manifest, Split};
use crate::experiment::{self, Input, LabelledInput, ParamError, ReferenceSpec, Section, SpannedTable};
use crate::report::FileName;
use crate::report::data_table::{Cut, DataRow, DataTable as Report, Holdings};
use crate::report::published::{CountsId, EDITION, first_edition, is_first_edition};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[data_tables]]`. Writes `FILE.csv`, `FILE.md`, `FILE.tex` (booktabs) and `FILE.txt` (for a terminal of 80
/// columns). For each label of `rows`: images by split, their sizes, classes, patches, and published counts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DataTable {
    /// Name of the files, without extension.
    file: FileName,
    /// Title above the table.
    #[serde(default)]
    title: Option<String>,
    /// Data sets, or stages that cut patches. Counts of the same label are added.
    rows: Input,
    /// Number of patches that the data sets of a row would have, computed without cutting: label of a row = rule. Such
    /// a row counts only the images that would be cut, and is repeated for each of the rule's `edges`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    patches: BTreeMap<String, Rule>,
    /// Published counts next to the rows: label of a row = id of the counts, e.g. `{ "UHCS" = "table1.uhcs" }`. A label
    /// without a row gets a new row, marked `published only`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    published: BTreeMap<String, CountsId>,
    /// The texts of published counts that it prints.
    #[serde(default = "first_edition", skip_serializing_if = "is_first_edition")]
    #[schemars(skip)]
    edition: u32,
}

/// Rule for cutting patches.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Side of a patch in pixels.
    size: usize,
    /// Overlap of neighbouring patches as a fraction of their side, from 0 to below 1.
    #[serde(default)]
    overlap: f64,
    /// Rules for image edges that patches do not fill; one row for each.
    #[serde(default = "drop_only")]
    edges: Vec<Edge>,
    /// Which images are cut. Test images cannot be chosen.
    #[serde(rename = "use", default = "unlabeled")]
    from: Use,
}

fn drop_only() -> Vec<Edge> {
    vec![Edge::Drop]
}

fn unlabeled() -> Use {
    Use::Unlabeled
}

impl StageKind for DataTable {
    const KIND: &'static str = "data_table";
    const CODE_VERSION: u32 = 2;
    const SECTION: Section = Section::DataTables;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] =
        &[ReferenceSpec::many("rows", &["dataset", "synthesize", "patchify"]).of_all_seeds()];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut table = experiment::deserialize::<DataTable>(table)?;
        if !table.published.is_empty() {
            table.edition = EDITION;
        }
        Ok(table)
    }

    fn check(&self) -> Result<(), ParamError> {
        for (label, rule) in &self.patches {
            let none =
                || rule.edges.is_empty().then(|| ("edges", "no rule; expected at least one, e.g. \"drop\"".into()));
            if let Some((key, message)) = patchify::problem(rule.size, rule.overlap).or_else(none) {
                let message = format!("{key} of {label:?}: {message}");
                return Err(ParamError::Check { param: "patches", message });
            }
        }
        Ok(())
    }

    fn check_labels(&self, labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        let is_row = |label: &String| labels.iter().any(|(_, row)| row == label);
        let Some(label) = self.patches.keys().find(|label| !is_row(label)) else { return Ok(()) };
        let rows: Vec<&str> = labels.iter().map(|(_, row)| *row).collect();
        let message = format!("there is no row {label:?}; there are {}", rows.join(", "));
        Err(ParamError::Check { param: "patches", message })
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let mut problems = Vec::new();
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for input in known.inputs("rows") {
            let Some(&Outlook::Patches { size, .. }) = Outlook::of(input) else { continue };
            let first = *sizes.entry(input.label).or_insert(size);
            if first != size {
                problems.push(two_sizes(input.label, first, size));
            }
            if self.patches.contains_key(input.label) {
                problems.push(cut_already(input.label));
            }
        }
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let labels = by_label(context.inputs("rows"));
        let mut rows = Vec::new();
        for (label, inputs) in labels {
            rows.extend(self.rows_of(label, &inputs)?);
        }
        let table = Report { title: self.title.clone(), rows }.with_published(&self.published);
        let forms =
            [("csv", table.csv()?), ("md", table.markdown()), ("tex", table.latex()), ("txt", table.terminal())];
        for (extension, text) in forms {
            std::fs::write(context.out.join(self.file.with_extension(extension)), text)?;
        }
        Ok(())
    }
}

fn two_sizes(label: &str, one: usize, other: usize) -> String {
    format!("the row {label:?} has patches of {one} and of {other} pixels")
}

fn cut_already(label: &str) -> String {
    format!("the row {label:?} already contains cut patches: remove its rule in `patches`")
}

impl DataTable {
    /// The row of a label, or one row for each of its rule's `edges`.
    fn rows_of(&self, label: &str, inputs: &[&InputFiles]) -> Result<Vec<DataRow>, StageError> {
        let rule = self.patches.get(label);
        let splits = rule.map_or(&ALL[..], |rule| rule.from.splits());
        let (mut holdings, mut manifests, mut cut) = (Holdings::default(), Vec::new(), None);
        let is_set = |input: &&InputFiles| input.files.contains_key(Manifest::FILE);
        let (sets, stages): (Vec<&InputFiles>, Vec<&InputFiles>) = inputs.iter().copied().partition(is_set);
        for input in &sets {
            let manifest = Manifest::read(input.file(Manifest::FILE)?).map_err(data_error)?;
            holdings.add(Holdings::of(&manifest, splits));
            manifests.push(manifest);
        }
        for input in stages {
            let (images, these) = cut_of(input).with_context(|| format!("the patches of {label}"))?;
            // If the row names data sets, their images are counted already.
            if sets.is_empty() {
                holdings.add(images);
            }
            cut = Some(match cut {
                None => these,
                Some(before) => {
                    sum(before, these).map_err(|(one, other)| StageError::BadData(two_sizes(label, one, other)))?
                }
            });
        }
        if rule.is_some() {
            // Patches are cut without masks.
            holdings.classes.clear();
        }
        let row = |cut| DataRow { label: label.into(), holdings: Some(holdings.clone()), cut, published: None };
        let Some(rule) = rule else { return Ok(vec![row(cut)]) };
        if cut.is_some() {
            return Err(StageError::BadData(cut_already(label)));
        }
        let computed = |&edge: &Edge| {
            let params = PatchParams { size: rule.size, overlap: rule.overlap, edge, from: rule.from };
            let count = manifests.iter().map(|manifest| patches(manifest, &params)).sum();
            row(Some(Cut { size: rule.size, overlap: Some(rule.overlap), edge: Some(edge), patches: count }))
        };
        Ok(rule.edges.iter().map(computed).collect())
    }
}

const ALL: [Split; 4] = [Split::Train, Split::Val, Split::Test, Split::Unlabeled];

/// A row of the index of a `patchify` stage: the position of a patch.
#[derive(Deserialize)]
struct Position {
    image: String,
    x: usize,
    y: usize,
    split: Split,
}

/// The images and the patches of a `patchify` stage. The overlap is the smallest between neighbours.
fn cut_of(input: &InputFiles) -> anyhow::Result<(Holdings, Cut)> {
    let file = Patches::open(input.file(Patches::FILE)?)?;
    let mut holdings = Holdings::default();
    let (mut before, mut step): (Option<Position>, usize) = (None, 0);
    for position in csv::Reader::from_path(input.file(Patches::INDEX)?)?.into_deserialize() {
        let position: Position = position?;
        match before.as_ref().filter(|before| before.image == position.image) {
            None => *holdings.splits.entry(position.split).or_default() += 1,
            Some(before) if before.y == position.y => step = step.max(position.x.saturating_sub(before.x)),
            Some(before) => step = step.max(position.y.saturating_sub(before.y)),
        }
        before = Some(position);
    }
    let overlap = (step > 0).then(|| (1.0 - step as f64 / file.size() as f64).max(0.0));
    Ok((holdings, Cut { size: file.size(), overlap, edge: None, patches: file.len() }))
}

/// Adds the patches of two stages.
///
/// # Errors
/// Their sizes, if these differ.
fn sum(one: Cut, other: Cut) -> Result<Cut, (usize, usize)> {
    if one.size != other.size {
        return Err((one.size, other.size));
    }
    let overlap = one.overlap.filter(|_| one.overlap == other.overlap);
    Ok(Cut { size: one.size, overlap, edge: None, patches: one.patches + other.patches })
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{context, dataset, params};
    use super::super::open_dataset;
    use super::*;
    use crate::data::patches::cut;
    use std::path::Path;

    /// Cuts the training image (8 × 4) of the tests' data set into patches of 4 pixels at steps of 2 pixels.
    fn patches_of(folder: &Path, dataset: &InputFiles) -> InputFiles {
        let params = PatchParams { size: 4, overlap: 0.5, edge: Edge::Drop, from: Use::Train };
        let out = folder.join("patches");
        std::fs::create_dir_all(&out).unwrap();
        cut(&open_dataset(dataset).unwrap(), &params, &out, &mut |_, _| {}).unwrap();
        let files = [Patches::FILE, Patches::INDEX].map(|name| (name.to_owned(), out.join(name)));
        InputFiles { label: "cut".into(), seed: None, files: files.into(), source: None }
    }

    fn table(folder: &Path, rows: Vec<InputFiles>, more: &str) -> Result<String, StageError> {
        let mut context = context(folder, [("rows", rows)]);
        params::<DataTable>(&format!(r#"{{ "file": "t", "rows": "<input>"{more} }}"#)).run(&mut context)?;
        for extension in ["md", "tex", "txt"] {
            assert!(context.out.join(format!("t.{extension}")).exists());
        }
        Ok(std::fs::read_to_string(context.out.join("t.csv")).unwrap())
    }

    #[test]
    fn counts_of_the_same_label_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let set = dataset(folder.path());
        let cut = patches_of(folder.path(), &set);
        let twice = ["twice", "twice"].map(|label| InputFiles { label: label.into(), ..cut.clone() });
        let with_set = [&set, &cut].map(|input| InputFiles { label: "both".into(), ..input.clone() });
        let rows = [set.clone(), cut.clone()].into_iter().chain(twice).chain(with_set).collect();
        let csv = table(folder.path(), rows, "").unwrap();
        insta::assert_snapshot!(csv, @r"
        data_set,images,train,test,sizes,classes,patch_size,overlap,patches
        steel,3,1,2,8×4,2,,,
        cut,1,1,0,,,4,0.50,3
        twice,2,2,0,,,4,0.50,6
        both,3,1,2,8×4,2,4,0.50,3
        ");
    }

    #[test]
    fn each_rule_computes_the_number_of_patches() {
        let folder = tempfile::tempdir().unwrap();
        let more = r#", "patches": { "steel": { "size": 5, "overlap": 0.4, "edges": ["drop", "shift", "pad"], "use": "train" } },
            "published": { "steel": "table3.ebc-3", "EBC-3": "table3.ebc-3" }"#;
        let csv = table(folder.path(), vec![dataset(folder.path())], more).unwrap();
        insta::assert_snapshot!(csv, @r"
        data_set,images,train,sizes,patch_size,overlap,edge,patches,published_train,difference_train,published_val,difference_val,published_test,difference_test,published_id,published_only
        steel,1,1,8×4,5,0.40,drop,0,1,0,3,-3,3,-3,table3.ebc-3,false
        steel,1,1,8×4,5,0.40,shift,2,1,0,3,-3,3,-3,table3.ebc-3,false
        steel,1,1,8×4,5,0.40,pad,2,1,0,3,-3,3,-3,table3.ebc-3,false
        EBC-3,,,,,,,,1,,3,,3,,table3.ebc-3,true
        ");
    }

    #[test]
    fn invalid_rules_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let set = dataset(folder.path());
        let rule = |label: &str| format!(r#", "patches": {{ "{label}": {{ "size": 8 }} }}"#);
        let misspelt: DataTable = params(&format!(r#"{{ "file": "t", "rows": "<input>"{} }}"#, rule("steal")));
        let Err(ParamError::Check { param: "patches", message }) = misspelt.check_labels(&[("rows", "steel")]) else {
            panic!("a rule for no row is accepted");
        };
        assert_eq!(message, r#"there is no row "steal"; there are steel"#);
        let cut = patches_of(folder.path(), &set);
        let refused = table(folder.path(), vec![cut], &rule("cut")).unwrap_err().to_string();
        assert!(refused.contains("already contains cut patches"), "{refused}");
        for (rule, part) in [
            (r#"{ "size": 3 }"#, "size of \"a\": a patch of 3 pixels"),
            (r#"{ "size": 64, "overlap": 1.0 }"#, "overlap of \"a\": an overlap of 1"),
            (r#"{ "size": 64, "edges": [] }"#, "edges of \"a\": no rule"),
        ] {
            let text = format!(r#"{{ "file": "t", "rows": "<input>", "patches": {{ "a": {rule} }} }}"#);
            let Err(ParamError::Check { param: "patches", message }) = params::<DataTable>(&text).check() else {
                panic!("{rule} is accepted");
            };
            assert!(message.starts_with(part), "{message}");
        }
    }
}
