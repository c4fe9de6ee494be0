//! Where the lines of a figure and the pictures of an overlay come from.

use super::{FigureView, OverlayView, Page};
use maud::{Markup, html};
use serde_json::Value;

/// Figures with more points than this have them in their CSV and in `run.json` only.
const MOST_POINTS: usize = 600;

/// What the script calls a figure: a table may have the same file's name.
pub(super) fn name(figure: &FigureView) -> String {
    format!("{}.svg", figure.file)
}

impl Page {
    /// Below a figure: the stages of each line, and the numbers of its points.
    pub(super) fn origins(&self, figure: &FigureView) -> Markup {
        html! {
            @if !figure.stages.is_empty() {
                details.origins {
                    summary { "Where the lines come from" }
                    ul {
                        @for (label, stages) in &figure.stages {
                            li { strong { (label) } ul { @for stage in stages { li { (self.stage(stage)) } } } }
                        }
                    }
                }
            }
            @if !figure.rows.is_empty() {
                details.origins {
                    summary { "The points in numbers" }
                    @if figure.rows.len() > MOST_POINTS {
                        p { (figure.rows.len()) " points: they are in " (figure.file) ".csv and in run.json." }
                    } @else {
                        (points(figure))
                    }
                }
            }
        }
    }

    /// The evaluations that the pictures of one method of an overlay are of.
    pub(super) fn evaluations(&self, overlay: &OverlayView, label: &str) -> Markup {
        let stages = overlay.stages.iter().filter(|(known, _)| known == label).flat_map(|(_, stages)| stages);
        html! { @for stage in stages { "· " (button(stage, "where it comes from")) " " } }
    }

    /// A stage in a line: seed, data set, what differs, key, record.
    fn stage(&self, name: &str) -> Markup {
        let facts = self.stages.get(name);
        let fact = |path: &[&str]| path.iter().try_fold(facts?, |value, key| value.get(key)).and_then(word);
        let mut parts = vec![fact(&["kind"]), fact(&["seed"]).map(|seed| format!("seed {seed}"))];
        let inputs = self.inputs(name);
        let of_role = |role: &str| inputs.iter().find(|(known, _)| *known == role).map(|(_, input)| *input);
        parts.push(of_role("dataset").map(|name| format!("data set {name}")));
        let differing = facts.and_then(|facts| facts.get("differing")).and_then(Value::as_object);
        parts.extend(differing.into_iter().flatten().map(|(key, value)| Some(format!("{key} = {}", word(value)?))));
        parts.push(fact(&["made", "device"]).map(|device| format!("made on {device}")));
        parts.push(fact(&["key"]).map(|key| format!("key {}", key.chars().take(10).collect::<String>())));
        html! {
            (button(name, name))
            span.soft {
                @for part in parts.iter().flatten() { " · " (part) }
                @for (role, input) in inputs.iter().filter(|(role, _)| *role != "dataset") {
                    " · " (role) " ← " (button(input, input))
                }
            }
        }
    }

    /// (parameter, stage) of what a stage reads.
    fn inputs(&self, name: &str) -> Vec<(&str, &str)> {
        let inputs = self.stages.get(name).and_then(|facts| facts.get("inputs")?.as_array());
        inputs
            .into_iter()
            .flatten()
            .filter_map(|input| Some((input.get(0)?.as_str()?, input.get(1)?.as_str()?)))
            .collect()
    }
}

/// Opens all that is known of a stage.
fn button(stage: &str, words: &str) -> Markup {
    html! { button.origin type="button" data-stage=(stage) title=(stage) { (words) } }
}

/// A table whose numbers lead to their stages, as those of tables do.
fn points(figure: &FigureView) -> Markup {
    const COLUMNS: [&str; 5] = ["series", "epoch", "mean", "std", "n"];
    let there = |column: &&str| figure.rows.iter().any(|row| row.contains_key(*column));
    let columns: Vec<&str> = COLUMNS.into_iter().filter(there).collect();
    html! {
        article.table.points data-table=(name(figure)) {
            table {
                thead { tr { @for column in &columns { th { (column) } } } }
                tbody {
                    @for row in &figure.rows {
                        tr { @for column in &columns { td { (row.get(*column).map(|cell| rounded(cell)).unwrap_or_default()) } } }
                    }
                }
            }
        }
    }
}

/// Five digits are more than a curve shows; the CSV has all.
fn rounded(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(number) if cell.len() > 7 && number.is_finite() => format!("{number:.5}"),
        _ => cell.to_owned(),
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_line_names_its_stages_and_each_point_its_number() {
        let stage = json!({
            "kind": "finetune", "seed": 0, "key": "0123456789abcdef", "made": {"device": "cpu"},
            "inputs": [["encoder", "ssl@0"], ["dataset", "steel"]], "differing": {"epochs": 3},
        });
        let row = |epoch: &str, mean: &str| {
            [("series", "MatSSL"), ("epoch", epoch), ("mean", mean)].map(|(a, b)| (a.into(), b.into())).into()
        };
        let figure = FigureView {
            file: "fig3".into(),
            svg: String::new(),
            rows: vec![row("1", "0.25"), row("2", "0.33333333333")],
            stages: vec![("MatSSL".into(), vec!["segment.matssl@0".into()])],
        };
        let page = Page { stages: [("segment.matssl@0".to_owned(), stage)].into(), ..Page::default() };
        let text = page.origins(&figure).into_string();
        for words in [
            "data-stage=\"segment.matssl@0\" title=\"segment.matssl@0\">segment.matssl@0<",
            "finetune · seed 0 · data set steel · epochs = 3 · made on cpu · key 0123456789 · encoder",
            "encoder ← <button class=\"origin\" type=\"button\" data-stage=\"ssl@0\"",
            "data-table=\"fig3.svg\"",
            "<td>MatSSL</td><td>2</td><td>0.33333</td>",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        // Without facts (a page describes so many stages and no more) names are all there is.
        assert!(Page::default().origins(&figure).into_string().contains("segment.matssl@0"));
        let long = FigureView { rows: vec![row("1", "1"); MOST_POINTS + 1], ..figure };
        assert!(page.origins(&long).into_string().contains("601 points: they are in fig3.csv"));
    }
}
