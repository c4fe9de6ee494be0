//! When each stage of a run was at work: a bar a stage, as many rows as worked at a time.

use super::Span;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const ROW: usize = 22;
const MARGIN: f64 = 8.0;
const AXIS: usize = 26;

/// Colours of kinds, in order of appearance (Okabe and Ito, 2008).
const COLOURS: [&str; 8] = ["#56b4e9", "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#999999", "#f0e442"];

/// The picture as SVG.
pub(super) fn svg(spans: &[Span]) -> String {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by(|a, b| a.begin.total_cmp(&b.begin).then(a.stage.cmp(&b.stage)));
    let whole = spans.iter().map(|span| span.end).fold(0.0, f64::max).max(1e-3);
    let x = |seconds: f64| MARGIN + seconds / whole * (WIDTH - 2.0 * MARGIN);
    let mut kinds: Vec<&str> = Vec::new();
    // The first row that is free again.
    let mut free: Vec<f64> = Vec::new();
    let mut bars = String::new();
    for span in spans {
        let kind = kinds.iter().position(|kind| *kind == span.kind).unwrap_or_else(|| {
            kinds.push(&span.kind);
            kinds.len() - 1
        });
        let row = free.iter().position(|&end| end <= span.begin + 1e-6).unwrap_or_else(|| {
            free.push(0.0);
            free.len() - 1
        });
        free[row] = span.end;
        let (colour, opacity) = (COLOURS[kind % COLOURS.len()], if span.done { 1.0 } else { 0.35 });
        let width = (x(span.end) - x(span.begin)).max(1.0);
        let failed = if span.done { "" } else { ", not done" };
        let _ = writeln!(
            bars,
            "<rect x=\"{:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\" \
             opacity=\"{opacity}\"><title>{} ({}): {:.1} s{failed}</title></rect>",
            x(span.begin),
            AXIS + row * ROW,
            ROW - 4,
            escape(&span.stage),
            escape(&span.kind),
            span.end - span.begin
        );
    }
    let below = AXIS + free.len() * ROW;
    let height = below + 44;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"timeline\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n<text x=\"{MARGIN}\" y=\"16\">0</text>\n\
         <text x=\"{}\" y=\"16\" text-anchor=\"end\">{}</text>\n",
        WIDTH - MARGIN,
        duration(whole)
    );
    text += &bars;
    let mut left = MARGIN;
    for (place, kind) in kinds.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let y = below + 14;
        let _ = writeln!(
            text,
            "<rect x=\"{left}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            left + 18.0,
            y + 11,
            escape(kind)
        );
        left += 34.0 + 7.0 * kind.chars().count() as f64;
    }
    text + "</svg>"
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(stage: &str, begin: f64, end: f64) -> Span {
        Span { stage: stage.into(), kind: "finetune".into(), begin, end, done: stage != "b" }
    }

    #[test]
    fn what_is_done_at_a_time_stands_in_two_rows_and_else_in_one() {
        let rows = |spans: &[Span]| {
            let svg = svg(spans);
            let rows: std::collections::BTreeSet<&str> =
                svg.split("<rect x=").skip(1).filter_map(|bar| bar.split(" y=\"").nth(1)?.split('"').next()).collect();
            rows.len() - 1 // the legend
        };
        assert_eq!(rows(&[span("a", 0.0, 1.0), span("b", 1.0, 2.0)]), 1);
        assert_eq!(rows(&[span("a", 0.0, 1.5), span("b", 1.0, 2.0), span("c", 1.6, 3.0)]), 2);
        assert!(svg(&[span("<b>", 0.0, 90.0)]).contains("&lt;b&gt; (finetune): 90.0 s"));
        assert!(svg(&[span("b", 0.0, 1.0)]).contains("not done"));
    }
}
