//! `figure`: draws a metric of training histories over the epochs, mIoU over the number of labelled images, confusion matrices, or
//! reliability diagrams.

mod labels;
mod panels;

use super::artifacts::{HistoryFile, Selection};
use super::monitor;
use super::outlook::Outlook;
use super::table::by_label;
use super::{Context, Foresight, InputFiles, Known, StageError, StageKind};
use crate::experiment::{Input, ParamError, ReferenceSpec, Section};
use crate::metrics::{Evaluation, ImageConfusions};
use crate::report::curve::{Curve, Over, Series};
use crate::report::{ConfusionFigure, FileName, ReliabilityFigure};
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
    /// The confusion matrix of each label of `rows`, summed over its seeds.
    Confusion,
    /// Accuracy against confidence for each label of `rows`, over all its seeds.
    Reliability,
    /// mIoU over the number of labelled training images: one line per label of `rows`, through all evaluations that its pattern
    /// names, with a band for their seeds.
    Labels,
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
    /// Trainings, for curves; one line per label, over all its seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series: Option<Input>,
    /// Evaluations, for `confusion` and `reliability` (one panel per label) and `labels` (one line per label), over all its seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Input>,
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
    const REFERENCES: &'static [ReferenceSpec] = &[
        ReferenceSpec::many("series", &["finetune", "pretrain"]).or_value().of_all_seeds(),
        ReferenceSpec::many("rows", &["evaluate"]).or_value().of_all_seeds(),
    ];

    fn check(&self) -> Result<(), ParamError> {
        let wrong = |param, message: &str| Err(ParamError::Check { param, message: message.to_owned() });
        match (self.kind, &self.series, &self.rows) {
            (FigureKind::Curve, None, Some(_)) => {
                return wrong("rows", "a curve has `series`, stages that train; `rows` are for the other kinds");
            }
            (FigureKind::Curve, None, None) => {
                return wrong("series", "a curve needs `series`: names of stages that train");
            }
            (FigureKind::Curve, Some(_), Some(_)) => return wrong("rows", "a curve has `series` only"),
            (FigureKind::Curve, Some(_), None) => {}
            (_, _, None) => {
                return wrong("rows", "this kind of figure needs `rows`: names of stages of kind `evaluate`");
            }
            (_, Some(_), Some(_)) => {
                return wrong("series", "this kind of figure has `rows` only");
            }
            (_, None, Some(_)) if self.metric != default_metric() => {
                return wrong("metric", "only curves have a metric");
            }
            _ => {}
        }
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
        for input in known.inputs("rows").filter(|_| self.kind == FigureKind::Labels) {
            if let Some(Outlook::Scores(scores)) = Outlook::of(input)
                && scores.models > 1
            {
                problems.push(labels::several(input.label));
            }
        }
        // Of all seeds the same.
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn reads(&self, role: &str) -> Vec<String> {
        if role == "rows" { self.read_of_rows() } else { Vec::new() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let (title, inputs) = (self.title.clone(), context.inputs("rows"));
        let (csv, svg, png) = match self.kind {
            FigureKind::Curve => {
                let curve = self.curve(context.inputs("series"))?;
                (curve.csv()?, curve.svg(), curve.png()?)
            }
            FigureKind::Confusion => {
                let figure = ConfusionFigure { title, panels: panels::confusion(inputs)? };
                (figure.csv()?, figure.svg(), figure.png()?)
            }
            FigureKind::Reliability => {
                let figure = ReliabilityFigure { title, panels: panels::reliability(inputs)? };
                (figure.csv()?, figure.svg(), figure.png()?)
            }
            FigureKind::Labels => {
                let curve = labels::curve(title, inputs)?;
                (curve.csv()?, curve.svg(), curve.png()?)
            }
        };
        let file = |extension| context.out.join(self.file.with_extension(extension));
        std::fs::write(file("csv"), csv)?;
        std::fs::write(file("svg"), svg)?;
        std::fs::write(file("png"), png)?;
        Ok(())
    }
}

impl Figure {
    /// The files of an evaluation that it reads.
    fn read_of_rows(&self) -> Vec<String> {
        let files: &[&str] = match self.kind {
            FigureKind::Confusion => &[Evaluation::FILE, ImageConfusions::FILE],
            _ => &[Evaluation::FILE],
        };
        files.iter().map(|&file| file.to_owned()).collect()
    }

    fn curve(&self, inputs: &[InputFiles]) -> Result<Curve, StageError> {
        let mut series = Vec::new();
        for (label, seeds) in by_label(inputs) {
            let (mut histories, mut on_test) = (Vec::new(), false);
            for seed in seeds {
                histories.push(HistoryFile::read(seed, &self.metric)?);
                on_test |= Selection::read(seed)?.is_some_and(|selection| selection.on_test());
            }
            // Columns of the training itself do not depend on the test images.
            let validated = self.metric == "val_miou" || self.metric.starts_with("iou_");
            series.push(Series { on_test: on_test && validated, ..Series::new(label, &histories) });
        }
        Ok(Curve { title: self.title.clone(), metric: self.metric.clone(), over: Over::Epochs, series })
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{context, evaluation_files, params};
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

    #[test]
    fn a_confusion_matrix_is_the_sum_over_the_seeds_of_its_label() {
        let folder = tempfile::tempdir().unwrap();
        // Two images of four pixels each: truth 0, 0, 1, 1.
        let rows = vec![
            evaluation_files(folder.path(), "MatSSL", Some(1), &[0, 1, 1, 1]),
            evaluation_files(folder.path(), "MatSSL", Some(0), &[0, 0, 1, 1]),
            evaluation_files(folder.path(), "random", Some(0), &[0, 0, 0, 0]),
        ];
        let mut context = context(folder.path(), [("rows", rows)]);
        let figure: Figure = params(r#"{ "file": "confusion", "kind": "confusion", "rows": "<input>" }"#);
        figure.check().unwrap();
        figure.run(&mut context).unwrap();
        let csv = std::fs::read_to_string(context.out.join("confusion.csv")).unwrap();
        let expected = "row,truth,prediction,pixels,share\n\
            MatSSL,matrix,matrix,6,0.75\nMatSSL,matrix,austenite,2,0.25\n\
            MatSSL,austenite,matrix,0,0\nMatSSL,austenite,austenite,8,1\n\
            random,matrix,matrix,4,1\nrandom,matrix,austenite,0,0\n\
            random,austenite,matrix,4,1\nrandom,austenite,austenite,0,0\n";
        assert_eq!(csv, expected);
        let svg = std::fs::read_to_string(context.out.join("confusion.svg")).unwrap();
        assert!(
            svg.contains(">MatSSL (test images, sum of 2 seeds)<") && svg.contains(">random (test images)<"),
            "{svg}"
        );
        assert!(context.out.join("confusion.png").exists());
    }

    #[test]
    fn reliability_is_over_all_seeds() {
        let folder = tempfile::tempdir().unwrap();
        let row = |seed: u64, calibration: &str| {
            let files = evaluation_files(folder.path(), "MatSSL", Some(seed), &[0, 0, 1, 1]);
            let path = &files.files[Evaluation::FILE];
            let mut metrics: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            if !calibration.is_empty() {
                metrics["calibration"] = serde_json::from_str(calibration).unwrap();
            }
            std::fs::write(path, metrics.to_string()).unwrap();
            files
        };
        let bins = |pixels: [u64; 2], accuracy: f64| {
            format!(
                r#"{{"pixels":[{},{}],"confidence":[0.25,0.75],"accuracy":[{accuracy},0.5]}}"#,
                pixels[0], pixels[1]
            )
        };
        let calibration = |pixels, accuracy| {
            let (before, after) = (bins(pixels, accuracy), bins(pixels, 0.25));
            format!(
                r#"{{"temperature":1.5,"pixels":40,"log_loss":[0.5,0.4],"expected_error":[0.1,0.2],"before":{before},"after":{after}}}"#
            )
        };
        let rows = vec![row(0, &calibration([30, 10], 0.25)), row(1, &calibration([10, 30], 0.65))];
        let mut context = context(folder.path(), [("rows", rows)]);
        let figure: Figure = params(r#"{ "file": "r", "kind": "reliability", "rows": "<input>" }"#);
        figure.run(&mut context).unwrap();
        let csv = std::fs::read_to_string(context.out.join("r.csv")).unwrap();
        // 30 pixels with accuracy 0.25 and 10 with 0.65: 0.35. The error: (40 · 0.1 + 40 · 0.25) / 80.
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "MatSSL,before,0,0.5,40,0.25,0.35", "{csv}");
        assert_eq!(lines[4], "MatSSL,with temperature,0.5,1,40,0.75,0.5", "{csv}");
        let svg = std::fs::read_to_string(context.out.join("r.svg")).unwrap();
        assert!(svg.contains(">before: ECE 17.50 %<") && svg.contains(">with temperature: ECE 12.50 %<"), "{svg}");
        *context.inputs.get_mut("rows").unwrap() = vec![row(2, "")];
        let error = figure.run(&mut context).unwrap_err().to_string();
        assert!(error.starts_with("the evaluation of MatSSL has no calibration"), "{error}");
    }

    #[test]
    fn each_kind_of_figure_has_its_own_stages() {
        let check = |text: &str| {
            let figure: Figure = params(&format!(r#"{{ "file": "f", {text} }}"#));
            figure.check().map_err(|error| match error {
                ParamError::Check { param, message } => format!("{param}: {message}"),
                other => panic!("{other:?}"),
            })
        };
        for fine in [
            r#""series": "<input>""#,
            r#""kind": "confusion", "rows": "<input>""#,
            r#""kind": "reliability", "rows": "<input>""#,
            r#""kind": "labels", "rows": "<input>""#,
        ] {
            check(fine).unwrap();
        }
        for (text, words) in [
            (r#""rows": "<input>""#, "rows: a curve has `series`"),
            (r#""kind": "curve""#, "series: a curve needs `series`"),
            (r#""rows": "<input>", "series": "<input>""#, "rows: a curve has `series` only"),
            (r#""kind": "confusion""#, "rows: this kind of figure needs `rows`"),
            (r#""kind": "confusion", "series": "<input>""#, "rows: this kind of figure needs `rows`"),
            (
                r#""kind": "reliability", "rows": "<input>", "series": "<input>""#,
                "series: this kind of figure has `rows` only",
            ),
            (r#""kind": "confusion", "rows": "<input>", "metric": "val_loss""#, "metric: only curves have a metric"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.starts_with(words), "{text}: {error}");
        }
        let curve = r#"{"file":"f","title":null,"kind":"curve","metric":"val_miou","series":"<input>"}"#;
        assert_eq!(serde_json::to_string(&params::<Figure>(curve)).unwrap(), curve, "keys stay as they were");
    }
}
