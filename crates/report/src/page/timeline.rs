//! When each stage of a run ran: one bar per stage, with as many rows as stages that ran at a time.

use crate::palette::BARS;
use crate::svg::Svg;
use serde::Serialize;

/// A stage's time in a run.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// The stage's name.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// Seconds from the run's start to the stage's.
    pub begin: f64,
    /// Seconds from the run's start to the stage's end.
    pub end: f64,
    /// Whether it was finished.
    pub done: bool,
}

const WIDTH: f64 = 960.0;
const ROW: f64 = 22.0;
const MARGIN: f64 = 8.0;
/// Height of the line that says how long the run took.
const AXIS: f64 = 26.0;
const LEGEND: f64 = 44.0;
/// Advance of a character at the writer's font size, for labels in the legend.
const CHARACTER: f64 = 7.0;
/// Opacity of the bar of a stage that was not finished.
const NOT_DONE: f64 = 0.35;

/// A span with its row, and its kind as an index.
struct Bar<'a> {
    span: &'a Span,
    row: usize,
    kind: usize,
}

/// The picture.
pub(super) fn svg(spans: &[Span]) -> String {
    let total = spans.iter().map(|span| span.end).fold(0.0, f64::max).max(1e-3);
    let (bars, kinds, rows) = arranged(spans);
    let below = AXIS + rows as f64 * ROW;
    let mut svg = Svg::new(WIDTH, below + LEGEND, "timeline");
    svg.label((MARGIN, 16.0)).text("0");
    svg.label((WIDTH - MARGIN, 16.0)).set("text-anchor", "end").text(&duration(total));
    for bar in &bars {
        draw(&mut svg, bar, total);
    }
    let mut left = MARGIN;
    for (number, kind) in kinds.iter().enumerate() {
        svg.rectangle((left, below + 14.0), (12.0, 12.0), colour(number)).empty();
        svg.label((left + 18.0, below + 25.0)).text(kind);
        left += 34.0 + CHARACTER * kind.chars().count() as f64;
    }
    svg.finish()
}

/// The bars, the kinds in order of appearance, and the number of rows. A bar goes into the first row that is free.
fn arranged(spans: &[Span]) -> (Vec<Bar<'_>>, Vec<&str>, usize) {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by(|a, b| a.begin.total_cmp(&b.begin).then(a.stage.cmp(&b.stage)));
    let mut kinds: Vec<&str> = Vec::new();
    // When the last bar of each row ends.
    let mut ends: Vec<f64> = Vec::new();
    let bars = spans.into_iter().map(|span| {
        let kind = kinds.iter().position(|kind| *kind == span.kind).unwrap_or_else(|| {
            kinds.push(&span.kind);
            kinds.len() - 1
        });
        let row = ends.iter().position(|&end| end <= span.begin + 1e-6).unwrap_or_else(|| {
            ends.push(0.0);
            ends.len() - 1
        });
        ends[row] = span.end;
        Bar { span, row, kind }
    });
    let bars = bars.collect();
    (bars, kinds, ends.len())
}

fn draw(svg: &mut Svg, bar: &Bar<'_>, total: f64) {
    let Span { stage, kind, begin, end, done } = bar.span;
    let x = |seconds: f64| MARGIN + seconds / total * (WIDTH - 2.0 * MARGIN);
    let size = ((x(*end) - x(*begin)).max(1.0), ROW - 4.0);
    let rect = svg.rectangle((x(*begin), AXIS + bar.row as f64 * ROW), size, colour(bar.kind)).length("rx", 2.0);
    rect.length("opacity", if *done { 1.0 } else { NOT_DONE }).open();
    let not_done = if *done { "" } else { ", not finished" };
    svg.element("title").text(&format!("{stage} ({kind}): {}{not_done}", duration(end - begin)));
    svg.close();
}

fn colour(kind: usize) -> crate::palette::Colour {
    BARS[kind % BARS.len()]
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(stage: &str, begin: f64, end: f64) -> Span {
        Span { stage: stage.into(), kind: "finetune".into(), begin, end, done: stage != "b" }
    }

    #[test]
    fn stages_that_overlap_in_time_are_in_different_rows() {
        let rows = |spans: &[Span]| arranged(spans).2;
        assert_eq!(rows(&[span("a", 0.0, 1.0), span("b", 1.0, 2.0)]), 1);
        assert_eq!(rows(&[span("a", 0.0, 1.5), span("b", 1.0, 2.0), span("c", 1.6, 3.0)]), 2);
        let svg = svg(&[span("a", 0.0, 1.5), span("b", 1.0, 2.0), span("c", 1.6, 3.0)]);
        assert_eq!((svg.matches("y=\"26\"").count(), svg.matches("y=\"48\"").count()), (2, 1), "{svg}");
    }

    #[test]
    fn tooltips_name_stages_and_say_what_was_not_finished() {
        assert!(svg(&[span("<b>", 0.0, 90.0)]).contains("&lt;b&gt; (finetune): 90.0 s</title>"));
        assert!(svg(&[span("b", 0.0, 1.0)]).contains("not finished"));
    }
}
