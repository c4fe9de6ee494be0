//! `figure`: draws a metric of training histories over the epochs.

use super::artifacts::{HistoryFile, Selection};
use super::monitor;
use super::outlook::Outlook;
use super::table::by_label;
use super::{Context, Foresight, Known, StageError, StageKind};
use crate::experiment::{Input, ParamError, ReferenceSpec, Section};
use crate::report::FileName;
use crate::report::curve::{Curve, Series};
use crate::ssl::{self, Watch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kind of the figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FigureKind {
    /// One line over the epochs per label, with a band for its seeds.
    #[default]
    Curve,
}

/// `[[figures]]`. Writes `FILE.svg`, `FILE.png`, and `FILE.csv` with the plotted numbers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    /// Name of the files, without extension.
    file: FileName,
    /// Title above the figure.
    #[serde(default)]
    title: Option<String>,
    /// Kind of the figure.
    #[serde(default)]
    kind: FigureKind,
    /// A column of the histories. Fine-tuning: `val_miou` (default), `val_loss`, `iou_CLASS`, `train_loss`.
    /// Pretraining: `loss`, `knn_accuracy`, statistics of the embeddings, columns of the method such as `gate_1`. Both:
    /// `learning_rate`, `gradient_norm`.
    #[serde(default = "default_metric")]
    metric: String,
    /// Trainings; one line per label, over all its seeds.
    series: Input,
}

/// The columns that a history may have, including those of the methods, but without `iou_CLASS`.
fn metrics() -> Vec<&'static str> {
    let shared = ["val_miou", "val_loss", "train_loss", "loss", "learning_rate", "gradient_norm", monitor::COLUMN];
    let mut metrics: Vec<&str> = shared.into_iter().chain(Watch::COLUMNS).collect();
    for column in ssl::columns() {
        if !metrics.contains(&column) {
            metrics.push(column);
        }
    }
    metrics
}

fn default_metric() -> String {
    "val_miou".into()
}

impl StageKind for Figure {
    const KIND: &'static str = "figure";
    const CODE_VERSION: u32 = 3;
    const SECTION: Section = Section::Figures;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] =
        &[ReferenceSpec::many("series", &["finetune", "pretrain"]).of_all_seeds()];

    fn check(&self) -> Result<(), ParamError> {
        let of_a_class = self.metric.strip_prefix("iou_").is_some_and(|class| !class.is_empty());
        if !of_a_class && !metrics().contains(&self.metric.as_str()) {
            let message = format!("{:?} is not a metric; expected {} or iou_CLASS", self.metric, metrics().join(", "));
            return Err(ParamError::Check { param: "metric", message });
        }
        Ok(())
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let mut problems = Vec::new();
        for input in known.inputs("series") {
            let Some(Outlook::Training { columns: Some(columns), .. }) = Outlook::of(input) else { continue };
            if !columns.contains(&self.metric) {
                let there_are = columns.join(", ");
                let (label, metric) = (input.label, &self.metric);
                problems.push(format!("the history of {label}: there is no column {metric:?}; there are {there_are}"));
            }
        }
        // Of all seeds the same.
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let mut series = Vec::new();
        for (label, seeds) in by_label(context.inputs("series")) {
            let (mut histories, mut on_test) = (Vec::new(), false);
            for seed in seeds {
                histories.push(HistoryFile::read(seed, &self.metric)?);
                on_test |= Selection::read(seed)?.is_some_and(|selection| selection.on_test());
            }
            // Columns of the training itself do not depend on the test images.
            let validated = self.metric == "val_miou" || self.metric.starts_with("iou_");
            series.push(Series { on_test: on_test && validated, ..Series::new(label, &histories) });
        }
        let FigureKind::Curve = self.kind;
        let curve = Curve { title: self.title.clone(), metric: self.metric.clone(), series };
        let file = |extension| context.out.join(self.file.with_extension(extension));
        std::fs::write(file("csv"), curve.csv()?)?;
        std::fs::write(file("svg"), curve.svg())?;
        std::fs::write(file("png"), curve.png()?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::InputFiles;
    use super::super::evaluate::tests::{context, params};
    use super::*;
    use std::path::Path;

    fn history(folder: &Path, label: &str, seed: u64, text: &str) -> InputFiles {
        let path = folder.join(format!("{label}-{seed}.csv"));
        std::fs::write(&path, text).unwrap();
        let files = [(HistoryFile::FILE.to_owned(), path)].into();
        InputFiles { label: label.into(), seed: Some(seed), files, source: None }
    }

    #[test]
    fn writes_the_figure_and_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let series = vec![
            history(folder.path(), "MatSSL", 0, "epoch,loss,val_miou\n1,0.9,0.25\n2,0.5,0.5\n"),
            history(folder.path(), "MatSSL", 1, "epoch,loss,val_miou\n1,0.9,0.75\n2,0.5,0.5\n"),
            history(folder.path(), "random", 0, "epoch,loss,val_miou\n1,0.9,0.125\n"),
        ];
        let mut context = context(folder.path(), [("series", series)]);
        let figure: Figure = params(r#"{ "file": "fig3", "kind": "curve", "series": "<input>" }"#);
        figure.run(&mut context).unwrap();
        let csv = std::fs::read_to_string(context.out.join("fig3.csv")).unwrap();
        let expected =
            "series,epoch,mean,std,n\nMatSSL,1,0.5,0.3535533905932738,2\nMatSSL,2,0.5,0,2\nrandom,1,0.125,,1\n";
        assert_eq!(csv, expected);
        assert!(std::fs::read_to_string(context.out.join("fig3.svg")).unwrap().contains("MatSSL"));
        assert_eq!(&std::fs::read(context.out.join("fig3.png")).unwrap()[1..4], b"PNG");
    }

    #[test]
    fn curves_from_test_images_are_marked() {
        let folder = tempfile::tempdir().unwrap();
        let svg = |splits: [&str; 2], metric: &str| {
            let series = splits.map(|split| {
                let mut files = history(folder.path(), split, 0, "epoch,train_loss,val_miou\n1,0.9,0.25\n2,0.5,0.5\n");
                let path = folder.path().join(format!("{split}.json"));
                std::fs::write(&path, format!(r#"{{"selected_on":"{split}","validated_on":"{split}","epoch":2}}"#))
                    .unwrap();
                files.files.insert(Selection::FILE.into(), path);
                files
            });
            let mut context = context(folder.path(), [("series", series.into())]);
            let figure: Figure = params(&format!(r#"{{ "file": "f", "metric": "{metric}", "series": "<input>" }}"#));
            figure.check().unwrap();
            figure.run(&mut context).unwrap();
            std::fs::read_to_string(context.out.join("f.svg")).unwrap()
        };
        let honest = svg(["val", "val"], "val_miou");
        assert!(honest.contains("validation mIoU") && !honest.contains('†'));
        let mixed = svg(["val", "test"], "val_miou");
        assert!(mixed.contains("test †") && !mixed.contains("val †") && !mixed.contains("validation mIoU"), "{mixed}");
        assert!(svg(["test", "test"], "val_miou").contains("test mIoU"));
        assert!(!svg(["val", "test"], "train_loss").contains('†'));
    }

    #[test]
    fn an_unknown_metric_is_refused_before_the_run() {
        let check = |metric: &str| {
            params::<Figure>(&format!(r#"{{"file":"f","metric":"{metric}","series":"<input>"}}"#)).check()
        };
        for metric in ["val_miou", "iou_austenite", "gate_4", "retrieval"] {
            assert!(check(metric).is_ok(), "{metric}");
        }
        for metric in ["val_dice", "epoch", "", "iou_", "val_iou_austenite"] {
            let Err(ParamError::Check { param: "metric", message }) = check(metric) else { panic!("{metric}") };
            assert!(message.contains("expected val_miou, val_loss, train_loss, loss"), "{message}");
        }
    }

    #[test]
    fn an_error_names_the_missing_metric_and_the_columns() {
        let folder = tempfile::tempdir().unwrap();
        let series = vec![history(folder.path(), "MatSSL", 0, "epoch,loss,val_miou\n")];
        let mut context = context(folder.path(), [("series", series)]);
        let figure: Figure = params(r#"{ "file": "fig3", "metric": "val_dice", "series": "<input>" }"#);
        let error = figure.run(&mut context).unwrap_err();
        assert!(matches!(error, StageError::BadData(_)));
        let expected = "the history of MatSSL: there is no column \"val_dice\"; there are loss, val_miou";
        assert_eq!(error.to_string(), expected);
    }
}
