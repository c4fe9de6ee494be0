//! `table`: scores of several methods side by side.

use super::{Context, InputFiles, Stage, StageError};
use crate::experiment::{Input, ReferenceSpec, Section};
use crate::metrics::Evaluation;
use crate::report::{self, FileName};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[[tables]]`. Leaves `FILE.csv`, `FILE.md` and `FILE.txt` (for a terminal of 80 columns), one row a label of
/// `rows`, in their order, over all its seeds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Name of the files.
    file: FileName,
    /// Stands above the table.
    #[serde(default)]
    title: Option<String>,
    /// Evaluations.
    rows: Input,
}

impl Stage for Table {
    const KIND: &'static str = "table";
    const CODE_VERSION: u32 = 1;
    const SECTION: Section = Section::Tables;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("rows", &["evaluate"]).of_all_seeds()];

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let mut methods = Vec::new();
        for (label, seeds) in by_label(context.inputs("rows")) {
            let evaluations = seeds.into_iter().map(read_evaluation).collect::<anyhow::Result<Vec<_>>>()?;
            methods.push((label.to_owned(), evaluations));
        }
        let table = report::table::Table::new(self.title.clone(), &methods)
            .map_err(|error| StageError::BadData(error.to_string()))?;
        for (extension, text) in [("csv", table.csv()?), ("md", table.markdown()), ("txt", table.terminal())] {
            std::fs::write(context.out.join(self.file.with_extension(extension)), text)?;
        }
        Ok(())
    }
}

/// Inputs that share a label, which differ by their seed only: labels in order of appearance, seeds ascending.
pub(super) fn by_label(inputs: &[InputFiles]) -> Vec<(&str, Vec<&InputFiles>)> {
    let mut labels: Vec<(&str, Vec<&InputFiles>)> = Vec::new();
    for input in inputs {
        match labels.iter_mut().find(|(label, _)| *label == input.label) {
            Some((_, seeds)) => seeds.push(input),
            None => labels.push((&input.label, vec![input])),
        }
    }
    for (_, seeds) in &mut labels {
        seeds.sort_by_key(|input| input.seed);
    }
    labels
}

/// The metrics.json that an `evaluate` stage left.
pub(super) fn read_evaluation(input: &InputFiles) -> anyhow::Result<Evaluation> {
    let text = std::fs::read(input.file("metrics.json")?).with_context(|| format!("metrics of {}", input.label))?;
    serde_json::from_slice(&text).with_context(|| format!("metrics of {}", input.label))
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{context, evaluation_files, params};
    use super::*;

    #[test]
    fn one_row_a_label_over_its_seeds() {
        let folder = tempfile::tempdir().unwrap();
        let rows = vec![
            evaluation_files(folder.path(), "b", Some(1), &[0, 1, 1, 1]),
            evaluation_files(folder.path(), "a", None, &[0, 0, 0, 1]),
            evaluation_files(folder.path(), "b", Some(0), &[0, 0, 1, 1]),
        ];
        let mut context = context(folder.path(), [("rows", rows)]);
        let table: Table = params(r#"{ "file": "table4", "rows": "<input>" }"#);
        table.run(&mut context).unwrap();
        let csv = std::fs::read_to_string(context.out.join("table4.csv")).unwrap();
        let labels: Vec<&str> = csv.lines().map(|line| line.split_once(",miou").unwrap_or((line, "")).0).collect();
        assert_eq!(labels[0], "method,seeds,selected_on");
        assert!(labels[1].starts_with("b,2,val,79.17,29.46,"), "{csv}");
        assert!(labels[2].starts_with("a,1,val,58.33,,"), "{csv}");
        assert!(labels[3].starts_with("majority class (matrix),,,25.00,,50.00,,0.00,,"), "{csv}");
        assert!(std::fs::read_to_string(context.out.join("table4.md")).unwrap().contains("| b | **79.17 ± 29.46** |"));
        assert!(context.out.join("table4.txt").exists());
    }

    #[test]
    fn a_file_name_stays_in_its_folder() {
        let refused = serde_json::from_str::<Table>(r#"{ "file": "../x", "rows": "<input>" }"#).unwrap_err();
        assert!(refused.to_string().starts_with("'/' cannot be in a file name"), "{refused}");
    }
}
