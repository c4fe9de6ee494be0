//! Figures on the page, with the stages behind their lines and the values of their points.

use super::stage::{StageFacts, button};
use maud::{Markup, PreEscaped, html};
use serde::Serialize;
use std::collections::BTreeMap;

/// The columns of the numbers behind curves, confusion matrices and reliability diagrams, in their order.
const COLUMNS: [&str; 15] = [
    "series",
    "epoch",
    "mean",
    "std",
    "n",
    "row",
    "truth",
    "prediction",
    "state",
    "bin_low",
    "bin_high",
    "pixels",
    "share",
    "confidence",
    "accuracy",
];

/// The points of larger figures are in their CSV and in `run.json` only.
const MOST_POINTS: usize = 600;

/// A figure as its stage left it.
#[derive(Clone, Debug, Serialize)]
pub struct FigureView {
    /// The name of its files, without extension.
    pub file: String,
    /// The picture.
    #[serde(skip)]
    pub svg: String,
    /// The points: the rows of its CSV, by column.
    pub rows: Vec<BTreeMap<String, String>>,
    /// The stages behind each line, by seed.
    pub stages: Vec<(String, Vec<String>)>,
}

impl FigureView {
    /// How the script refers to the figure. A table may have the same file name.
    pub(super) fn id(&self) -> String {
        format!("{}.svg", self.file)
    }

    /// Whether it shows lines over the epochs.
    pub(super) fn is_curve(&self) -> bool {
        self.rows.iter().all(|row| row.contains_key("epoch"))
    }

    /// The picture; below it the stages behind each line and the values of the points. `stages` holds what is known of them.
    pub(super) fn markup(&self, stages: &BTreeMap<String, StageFacts>) -> Markup {
        html! {
            h3 { (self.file) }
            figure.paper { (PreEscaped(inline(&self.svg))) }
            @if !self.stages.is_empty() {
                details.origins {
                    summary { "Stages behind each " (if self.is_curve() { "line" } else { "panel" }) }
                    ul {
                        @for (label, names) in &self.stages {
                            li { strong { (label) } ul { @for name in names { li { (line(stages, name)) } } } }
                        }
                    }
                }
            }
            @if !self.rows.is_empty() {
                details.origins {
                    summary { (if self.is_curve() { "Values of the points" } else { "Values" }) }
                    @if self.rows.len() > MOST_POINTS {
                        p { (self.rows.len()) (if self.is_curve() { " points" } else { " values" }) ": see " (self.file) ".csv or run.json." }
                    } @else {
                        (self.points())
                    }
                }
            }
        }
    }

    /// A table whose numbers lead to their stages, as those of tables do.
    fn points(&self) -> Markup {
        let exists = |column: &&str| self.rows.iter().any(|row| row.contains_key(*column));
        // A number of a curve belongs to an epoch.
        let class = if self.is_curve() { "table points" } else { "table" };
        let columns: Vec<&str> = COLUMNS.into_iter().filter(exists).collect();
        html! {
            article class=(class) data-table=(self.id()) {
                table {
                    thead { tr { @for column in &columns { th { (column) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for column in &columns {
                                    td { (row.get(*column).map(|cell| rounded(cell)).unwrap_or_default()) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A stage in one line. Only its name is known if the page describes too many stages.
fn line(stages: &BTreeMap<String, StageFacts>, name: &str) -> Markup {
    stages.get(name).map_or_else(|| button(name, name), StageFacts::line)
}

/// An SVG file as an element of the page: without its XML declaration.
fn inline(svg: &str) -> &str {
    svg.find("<svg").map_or(svg, |start| &svg[start..])
}

/// Five decimals: a curve does not show more, and the CSV has all digits.
fn rounded(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(number) if cell.len() > 7 && number.is_finite() => format!("{number:.5}"),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Made;
    use super::*;
    use serde_json::{Map, json};

    #[test]
    fn each_line_lists_its_stages_and_each_point_its_value() {
        let stage = StageFacts {
            stage: "segment.matssl@0".into(),
            kind: "finetune".into(),
            seed: Some(0),
            key: Some("0123456789abcdef".into()),
            made: Some(Made { device: "cpu".into(), other: Map::new() }),
            inputs: vec![("encoder".into(), "ssl@0".into()), ("dataset".into(), "steel".into())],
            data_set: Some("steel".into()),
            differing: [("epochs".to_owned(), json!(3)), ("method".to_owned(), json!("simclr"))].into(),
            ..StageFacts::default()
        };
        let row = |epoch: &str, mean: &str| {
            [("series", "MatSSL"), ("epoch", epoch), ("mean", mean)].map(|(a, b)| (a.into(), b.into())).into()
        };
        let figure = FigureView {
            file: "fig3".into(),
            svg: "<?xml version=\"1.0\"?>\n<svg></svg>".into(),
            rows: vec![row("1", "0.25"), row("2", "0.33333333333")],
            stages: vec![("MatSSL".into(), vec!["segment.matssl@0".into()])],
        };
        let stages = [("segment.matssl@0".to_owned(), stage)].into();
        let text = figure.markup(&stages).into_string();
        for words in [
            "data-stage=\"segment.matssl@0\" title=\"segment.matssl@0\">segment.matssl@0<",
            "finetune · seed 0 · data set steel · epochs = 3 · method = simclr · made on cpu · key 0123456789 · encoder",
            "encoder ← <button class=\"origin\" type=\"button\" data-stage=\"ssl@0\"",
            "data-table=\"fig3.svg\"",
            "<td>MatSSL</td><td>2</td><td>0.33333</td>",
            "<figure class=\"paper\"><svg></svg></figure>",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("dataset ←"), "the data set is named once: {text}");
        assert!(figure.markup(&BTreeMap::new()).into_string().contains("segment.matssl@0"), "a stage without facts");
        let long = FigureView { rows: vec![row("1", "1"); MOST_POINTS + 1], ..figure };
        assert!(long.markup(&stages).into_string().contains("601 points: see fig3.csv or run.json."));
    }
}
