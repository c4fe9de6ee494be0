//! `figure`: a metric of the histories over the epochs.

use super::table::by_label;
use super::{Context, Stage, StageError};
use crate::experiment::{Input, ParamError, ReferenceSpec, Section};
use crate::report::FileName;
use crate::report::curve::{Curve, Series, read_history};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FigureKind {
    /// A line over the epochs for each label, with a band over its seeds.
    #[default]
    Curve,
}

/// `[[figures]]`. Leaves `FILE.svg`, `FILE.png` and `FILE.csv`, the numbers behind them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    /// Name of the files.
    file: FileName,
    /// Stands above the figure.
    #[serde(default)]
    title: Option<String>,
    /// What is drawn.
    #[serde(default)]
    kind: FigureKind,
    /// A column of the histories, e.g. `val_miou`, `val_iou_austenite`, `loss`.
    #[serde(default = "default_metric")]
    metric: String,
    /// Trainings, a line for each label over all its seeds.
    series: Input,
}

fn default_metric() -> String {
    "val_miou".into()
}

impl Stage for Figure {
    const KIND: &'static str = "figure";
    const CODE_VERSION: u32 = 1;
    const SECTION: Section = Section::Figures;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec {
        param: "series",
        kinds: &["finetune", "pretrain"],
        many: true,
        optional: false,
        all_seeds: true,
    }];

    fn check(&self) -> Result<(), ParamError> {
        if self.metric.is_empty() || self.metric == "epoch" {
            let message =
                format!("{:?} is no metric; expected a column of history.csv, e.g. \"val_miou\"", self.metric);
            return Err(ParamError::Check { param: "metric", message });
        }
        Ok(())
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let mut series = Vec::new();
        for (label, seeds) in by_label(context.inputs("series")) {
            let mut histories = Vec::new();
            for seed in seeds {
                let text = std::fs::read_to_string(seed.file("history.csv")?)
                    .with_context(|| format!("the history of {label}"))?;
                let history = read_history(&text, &self.metric)
                    .map_err(|error| StageError::BadData(format!("the history of {label}: {error:#}")))?;
                histories.push(history);
            }
            series.push(Series::new(label, &histories));
        }
        let FigureKind::Curve = self.kind;
        let curve = Curve { title: self.title.clone(), metric: self.metric.clone(), series };
        let file = |extension| context.out.join(self.file.with_extension(extension));
        std::fs::write(file("csv"), curve.csv()?)?;
        std::fs::write(file("svg"), curve.svg()?)?;
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
        let files = [("history.csv".to_owned(), path)].into();
        InputFiles { label: label.into(), seed: Some(seed), files, source: None }
    }

    #[test]
    fn leaves_the_figure_and_the_numbers_behind_it() {
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
    fn a_metric_that_no_history_has_is_named_with_those_there_are() {
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
