//! `table`: compares the scores of several methods.

use super::missing::Missing;
use super::outlook::{Outlook, Scores};
use super::{Context, Foresight, InputFiles, Known, StageError, StageKind};
use crate::experiment::{self, Input, LabelledInput, ParamError, ReferenceSpec, Section, SpannedTable};
use crate::metrics::{AUTHORS_BATCH, Averaging, Evaluation, FurtherScore, ImageConfusions, Sampled};
use crate::report::published::{EDITION, PublishedId, first_edition, is_first_edition};
use crate::report::table::{NoColumn, PerImage};
use crate::report::{self, FileName};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[tables]]`. Writes `FILE.csv`, `FILE.md`, `FILE.tex` (booktabs) and `FILE.txt` (for a terminal of 80 columns). One
/// row per label of `rows`, in their order, over all its seeds, with 95 % intervals and tests between the rows.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Name of the files, without extension.
    file: FileName,
    /// Title above the table.
    #[serde(default)]
    title: Option<String>,
    /// Evaluations.
    rows: Input,
    /// Published values next to the rows: label of a row = id of the value, e.g.
    /// `{ "MatSSL" = "table4.metaldam.matssl.aachen+uhcs" }`. A label without a row gets a new row, marked
    /// `published only`, unless it looks like a misspelt label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    published: BTreeMap<String, PublishedId>,
    /// Published values in their own rows, even if their labels look like misspelt labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    published_only: BTreeMap<String, PublishedId>,
    /// Label of the row that the others are tested against. By default the best row that is scored on the same images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compare_with: Option<String>,
    /// How mIoU is averaged over images. All other scores are pooled.
    #[serde(default, skip_serializing_if = "is_pooled")]
    miou: Averaging,
    /// Further columns, for rows whose evaluations ask for these scores: `"boundary_iou"`, `"surface_dice"`, `"specimen_miou"`,
    /// `"calibration_error"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<FurtherScore>,
    /// What becomes of rows whose weight files or data sets are not there.
    #[serde(default, skip_serializing_if = "Missing::is_default")]
    missing: Missing,
    /// Rows that were left out for that, by label, with what is to be fetched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    not_run: BTreeMap<String, String>,
    /// The texts of published values that it prints.
    #[serde(default = "first_edition", skip_serializing_if = "is_first_edition")]
    #[schemars(skip)]
    edition: u32,
}

/// Whether the default applies. It is left out of the JSON, so that keys do not change.
fn is_pooled(averaging: &Averaging) -> bool {
    *averaging == Averaging::Pooled
}

impl StageKind for Table {
    const KIND: &'static str = "table";
    const CODE_VERSION: u32 = 5;
    const SECTION: Section = Section::Tables;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("rows", &["evaluate"]).of_all_seeds()];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut table = experiment::deserialize::<Table>(table)?;
        if !table.published.is_empty() || !table.published_only.is_empty() {
            table.edition = EDITION;
        }
        Ok(table)
    }

    fn check(&self) -> Result<(), ParamError> {
        match self.columns.iter().enumerate().find(|(at, score)| self.columns[..*at].contains(score)) {
            Some((_, twice)) => {
                let message = format!("{:?} is named twice: name each score once", twice.key());
                Err(ParamError::Check { param: "columns", message })
            }
            None => Ok(()),
        }
    }

    fn check_labels(&self, labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        let rows: Vec<&str> = labels.iter().filter(|(param, _)| *param == "rows").map(|(_, label)| *label).collect();
        self.check_rows(&rows).map_err(|(param, message)| ParamError::Check { param, message })
    }

    fn tolerates(&self) -> bool {
        self.missing == Missing::LeaveOut
    }

    fn without(&self, absent: &BTreeMap<String, String>) -> Option<Self> {
        let is_compared = self.compare_with.as_ref().is_some_and(|label| absent.contains_key(label));
        if !self.tolerates() || is_compared {
            return None;
        }
        let mut table: Table = serde_json::from_value(serde_json::to_value(self).ok()?).ok()?;
        table.not_run = absent.clone();
        Some(table)
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let scores = known.inputs("rows").filter_map(|input| match Outlook::of(input)? {
            Outlook::Scores(scores) => Some((input.label, scores)),
            _ => None,
        });
        let scores: Vec<(&str, &Scores)> = scores.collect();
        let mut problems = Vec::new();
        if self.miou == Averaging::Batches {
            problems.extend(one_size(scores.iter().map(|(_, scores)| scores.miou_batch).collect()).err());
        }
        for (label, scores) in &scores {
            let missing = self.columns.iter().copied().filter(|score| !scores.further.contains(score));
            let problem = |score| NoColumn::NotMeasured { label: (*label).to_owned(), score }.to_string();
            problems.extend(missing.map(problem));
        }
        let mut first: BTreeMap<&str, &Scores> = BTreeMap::new();
        for (label, scores) in scores {
            let known = *first.entry(label).or_insert(scores);
            if !is_alike(known, scores) {
                problems.push(report::table::MixedImages(label.to_owned()).to_string());
            }
        }
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let (mut methods, mut per_image) = (Vec::new(), Vec::new());
        for (label, seeds) in by_label(context.inputs("rows")) {
            let evaluations = seeds.iter().map(|seed| read_evaluation(seed)).collect::<anyhow::Result<Vec<_>>>()?;
            per_image.extend(read_per_image(&seeds, &evaluations)?.map(|images| (label.to_owned(), images)));
            methods.push((label.to_owned(), evaluations));
        }
        let bad = |error: &dyn std::error::Error| StageError::BadData(error.to_string());
        let averaging = (self.miou, batch(self.miou, &methods)?);
        let table = report::table::Table::averaged(self.title.clone(), &methods, averaging)
            .map_err(|error| bad(&error))?
            .with_scores(&self.columns, &methods)
            .map_err(|error| bad(&error))?
            .with_statistics(&per_image, self.compare_with.as_deref())
            .map_err(|error| bad(&error))?
            .with_not_run(&self.not_run)
            .with_published(&self.all_published());
        let forms =
            [("csv", table.csv()?), ("md", table.markdown()), ("tex", table.latex()), ("txt", table.terminal())];
        for (extension, text) in forms {
            std::fs::write(context.out.join(self.file.with_extension(extension)), text)?;
        }
        Ok(())
    }
}

impl Table {
    fn all_published(&self) -> BTreeMap<String, PublishedId> {
        self.published.iter().chain(&self.published_only).map(|(label, id)| (label.clone(), id.clone())).collect()
    }

    /// Checks that the labels refer to rows.
    ///
    /// # Errors
    /// The parameter and the message.
    fn check_rows(&self, rows: &[&str]) -> Result<(), (&'static str, String)> {
        let is_row = |label: &str| rows.contains(&label);
        if let Some(wanted) = self.compare_with.as_deref().filter(|wanted| !is_row(wanted)) {
            let help = alike(wanted, rows.iter().copied()).map(|row| format!("; did you mean {row:?}?"));
            return Err(("compare_with", format!("there is no row {wanted:?}{}", help.unwrap_or_default())));
        }
        if let Some(label) = self.published_only.keys().find(|label| is_row(label)) {
            return Err(("published_only", format!("{label:?} is a row: put its published value into `published`")));
        }
        if let Some(label) = self.published_only.keys().find(|label| self.published.contains_key(*label)) {
            return Err(("published_only", format!("{label:?} is also in `published`")));
        }
        // A row that already has a published value is not the intended row of a misspelt label.
        let without = || rows.iter().copied().filter(|row| !self.published.contains_key(*row));
        let mut misspelt = self.published.keys().filter(|label| !is_row(label));
        match misspelt.find_map(|label| Some((label, alike(label, without())?))) {
            Some((label, row)) => Err((
                "published",
                format!(
                    "there is no row {label:?}; did you mean {row:?}? For a row with only a published value, use \
                     `published_only`"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// The label that is most similar to `label`, if at most a sixth of the letters and digits differ.
fn alike<'a>(label: &str, labels: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Maximum number of characters that are compared, because the cost grows with the square.
    const LONGEST: usize = 200;
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(LONGEST).collect()
    };
    let own = plain(label);
    let near = |other: &'a str| {
        let theirs = plain(other);
        let longest = own.chars().count().max(theirs.chars().count());
        let distance = strsim::damerau_levenshtein(&own, &theirs);
        (6 * distance <= longest).then_some((distance, other))
    };
    labels.filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
}

/// The batch size of the mIoU of all rows. It must be the same if mIoU is a mean over batches.
fn batch(averaging: Averaging, methods: &[(String, Vec<Evaluation>)]) -> Result<usize, StageError> {
    let by = methods.iter().flat_map(|(_, seeds)| seeds).flat_map(|evaluation| &evaluation.miou_by);
    one_size(by.filter(|by| by.name == averaging).filter_map(|by| by.batch).collect()).map_err(StageError::BadData)
}

/// The only one of these batch sizes.
///
/// # Errors
/// Two of them, if there are several.
fn one_size(mut sizes: Vec<usize>) -> Result<usize, String> {
    sizes.sort_unstable();
    sizes.dedup();
    match sizes[..] {
        [] => Ok(AUTHORS_BATCH),
        [size] => Ok(size),
        [one, other, ..] => Err(format!(
            "rows were evaluated with batches of {one} and of {other} images; mIoU over batches needs the same \
             `miou_batch` in all rows"
        )),
    }
}

/// Whether two evaluations score the same number of images with the same classes.
fn is_alike(one: &Scores, other: &Scores) -> bool {
    let counted = |scores: &Scores| (scores.manifest.entries(scores.split).len(), scores.split);
    std::ptr::eq(one.manifest.as_ref(), other.manifest.as_ref()) && one.split == other.split
        || counted(one) == counted(other) && one.manifest.classes == other.manifest.classes
}

/// The scores of each image for the seeds of one label; `None` if they were not scored on the same images.
fn read_per_image(seeds: &[&InputFiles], evaluations: &[Evaluation]) -> anyhow::Result<Option<PerImage>> {
    let mut images: Option<Vec<String>> = None;
    let mut sampled = Sampled { seeds: Vec::new(), overlaps: Vec::new() };
    for (input, evaluation) in seeds.iter().zip(evaluations) {
        let ImageConfusions(matrices) = ImageConfusions::read(input.file(ImageConfusions::FILE)?)
            .with_context(|| format!("the images of {}", input.label))?;
        let ignored = (0..=u8::MAX).zip(&evaluation.classes).filter(|(_, class)| class.ignored);
        let ignored: Vec<u8> = ignored.map(|(label, _)| label).collect();
        let (names, overlaps): (Vec<String>, Vec<_>) =
            matrices.into_iter().map(|(name, matrix)| (name, matrix.overlaps(&ignored))).unzip();
        if images.get_or_insert_with(|| names.clone()) != &names {
            return Ok(None);
        }
        sampled.seeds.push(input.seed);
        sampled.overlaps.push(overlaps);
    }
    Ok(images.map(|images| PerImage { images, sampled }))
}

/// Groups inputs by label: labels in order of appearance, seeds ascending.
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

/// Reads the metrics.json of an `evaluate` stage.
pub(super) fn read_evaluation(input: &InputFiles) -> anyhow::Result<Evaluation> {
    Evaluation::read(input.file(Evaluation::FILE)?).with_context(|| format!("metrics of {}", input.label))
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{context, evaluation_files, params};
    use super::*;

    #[test]
    fn each_label_is_one_row_over_its_seeds() {
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
        assert!(std::fs::read_to_string(context.out.join("table4.tex")).unwrap().contains("\\toprule"));
        assert!(labels[0].len() < csv.lines().next().unwrap().len());
        assert!(csv.lines().next().unwrap().contains(",miou_low,miou_high,compared_with,"), "{csv}");
        assert!(!csv.contains("published"), "{csv}");
    }

    #[test]
    fn defaults_are_not_in_the_key() {
        let table: Table = params(r#"{ "file": "t", "rows": "<input>", "miou": "pooled" }"#);
        let json = serde_json::to_string(&table).unwrap();
        assert_eq!(json, r#"{"file":"t","title":null,"rows":"<input>"}"#);
    }

    #[test]
    fn published_values_and_compare_with_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let rows = || {
            vec![
                evaluation_files(folder.path(), "b", Some(1), &[0, 1, 1, 1]),
                evaluation_files(folder.path(), "a", None, &[0, 0, 0, 1]),
            ]
        };
        let mut context = context(folder.path(), [("rows", rows())]);
        let text = r#"{ "file": "t", "rows": "<input>", "compare_with": "a", "miou": "images",
            "published": { "a": "table5.ebc-1.unet++.micronet", "CS-UNet": "table5.ebc-1.cs-unet.micronet+microlite" },
            "published_only": { "b, and CS-UNet": "table5.ebc-2.cs-unet.micronet+microlite" } }"#;
        params::<Table>(text).run(&mut context).unwrap();
        let csv = std::fs::read_to_string(context.out.join("t.csv")).unwrap();
        let line = |label: &str| csv.lines().find(|line| line.starts_with(label)).unwrap().to_owned();
        assert!(line("b,").contains(",a,"), "{csv}");
        assert!(line("a,").ends_with(",95.17,-36.84,table5.ebc-1.unet++.micronet,false"), "{csv}");
        assert_eq!(csv.lines().filter(|line| line.contains("CS-UNet")).count(), 2, "{csv}");
        assert!(line("CS-UNet,").ends_with(",95.98,,table5.ebc-1.cs-unet.micronet+microlite,true"), "{csv}");
        let refused = params::<Table>(r#"{ "file": "t", "rows": "<input>", "compare_with": "c" }"#).run(&mut context);
        assert_eq!(refused.unwrap_err().to_string(), r#"there is no row "c" to compare with; there are b, a"#);
        let misspelt = r#"{ "file": "t", "rows": "<input>", "published": { "a": "table5.ebc-1.unet++.micronet2" } }"#;
        let refused = serde_json::from_str::<Table>(misspelt).unwrap_err().to_string();
        assert!(refused.contains("the nearest is `table5.ebc-1.unet++.micronet`"), "{refused}");
    }

    #[test]
    fn a_misspelt_label_is_refused_before_the_run() {
        let check = |text: &str| {
            let table: Table = params(&format!(r#"{{ "file": "t", "rows": "<input>", {text} }}"#));
            let rows = ["EBC-1: U-Net++, MicroNet", "EBC-1: U-Net++, MatSSL", "EBC-2: U-Net++, MicroNet"];
            table.check_labels(&rows.map(|row| ("rows", row))).map_err(|error| match error {
                ParamError::Check { param, message } => format!("{param}: {message}"),
                other => panic!("{other:?}"),
            })
        };
        let id = "table5.ebc-1.unet++.micronet";
        let misspelt = check(&format!(r#""published": {{ "EBC1: U-Net++, MicroNett": "{id}" }}"#)).unwrap_err();
        assert_eq!(
            misspelt,
            "published: there is no row \"EBC1: U-Net++, MicroNett\"; did you mean \"EBC-1: U-Net++, MicroNet\"? For a \
             row with only a published value, use `published_only`"
        );
        // Accepted: `published_only`, and similar labels whose rows have their own published values.
        check(&format!(r#""published_only": {{ "EBC-3: U-Net++, MicroNet": "{id}" }}"#)).unwrap();
        check(&format!(r#""published": {{ "EBC-1: CS-UNet, MicroNet and MicroLite": "{id}" }}"#)).unwrap();
        let all = ["EBC-1: U-Net++, MicroNet", "EBC-2: U-Net++, MicroNet", "EBC-3: U-Net++, MicroNet"];
        let all: Vec<String> = all.iter().map(|label| format!(r#""{label}": "{id}""#)).collect();
        check(&format!(r#""published": {{ {} }}"#, all.join(", "))).unwrap();
        let a_row = check(&format!(r#""published_only": {{ "EBC-1: U-Net++, MatSSL": "{id}" }}"#)).unwrap_err();
        assert!(a_row.starts_with("published_only: \"EBC-1: U-Net++, MatSSL\" is a row"), "{a_row}");
        let reference = check(r#""compare_with": "EBC-2: U-Net++, Micronet""#).unwrap_err();
        assert!(reference.ends_with("did you mean \"EBC-2: U-Net++, MicroNet\"?"), "{reference}");
    }

    #[test]
    fn a_file_name_stays_in_its_folder() {
        let refused = serde_json::from_str::<Table>(r#"{ "file": "../x", "rows": "<input>" }"#).unwrap_err();
        assert!(refused.to_string().starts_with("'/' is not allowed in a file name"), "{refused}");
    }
}
