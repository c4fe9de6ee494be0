//! Reliability diagrams (Niculescu-Mizil and Caruana 2005; Guo et al. 2017): accuracy against confidence.

use crate::font;
use crate::palette::{BLUE, GREY, GRID, INK, LINE, ORANGE, SKY_BLUE};
use crate::panels::{arranged, heading};
use crate::scene::{Anchor, Scene, Shape, Text};
use matssl_metrics::Reliability;

/// A figure: SVG, PNG, and the CSV behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct ReliabilityFigure {
    /// Stands above it.
    pub title: Option<String>,
    /// From left to right.
    pub panels: Vec<ReliabilityPanel>,
}

/// One diagram.
#[derive(Clone, Debug, PartialEq)]
pub struct ReliabilityPanel {
    /// What it is the diagram of: in the heading and in the CSV.
    pub label: String,
    /// Stands in the heading only, e.g. the images and the number of seeds; may be empty.
    pub detail: String,
    /// Which probabilities, e.g. `before` and `after`; may be empty.
    pub state: String,
    /// Expected calibration error, 0 to 1.
    pub expected_error: f64,
    /// Confidence and accuracy by bin.
    pub reliability: Reliability,
}

const LABEL: f64 = 12.5;
const TICK: f64 = 11.0;
/// Side of the square of confidence and accuracy.
const SIDE: f64 = 220.0;
/// Height of the bars that count pixels.
const COUNTS: f64 = 46.0;
const SPACE: f64 = 8.0;
const NOTE: &str = "Bars: accuracy of the pixels whose predicted class has this confidence. Orange: the difference from their \
    mean confidence. Dashed: a model whose confidence is right. ECE: expected calibration error, the mean difference over all \
    pixels. Below: the share of the pixels.";

impl ReliabilityFigure {
    /// The figure as an SVG file whose text is text (in the viewer's sans-serif).
    pub fn svg(&self) -> String {
        self.scene().to_svg(self.title.as_deref().unwrap_or("reliability diagram"))
    }

    /// The figure as a PNG file of twice the size.
    ///
    /// # Errors
    /// If the shipped font cannot be read.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        crate::png_rgb(&self.scene().to_image(2)?)
    }

    /// The numbers behind the figure: `row,state,bin_low,bin_high,pixels,confidence,accuracy`; the last two are empty for a bin
    /// without pixels.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["row", "state", "bin_low", "bin_high", "pixels", "confidence", "accuracy"])?;
        for panel in &self.panels {
            for bin in panel.bins() {
                let known = |value: f64| if bin.pixels > 0 { value.to_string() } else { String::new() };
                let (confidence, accuracy) = (known(bin.confidence), known(bin.accuracy));
                let [low, high, pixels] = [bin.low.to_string(), bin.high.to_string(), bin.pixels.to_string()];
                writer.write_record([&panel.label, &panel.state, &low, &high, &pixels, &confidence, &accuracy])?;
            }
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    fn scene(&self) -> Scene {
        arranged(self.title.as_deref(), self.panels.iter().map(ReliabilityPanel::scene).collect(), NOTE)
    }
}

struct Bin {
    low: f64,
    high: f64,
    pixels: u64,
    confidence: f64,
    accuracy: f64,
}

impl ReliabilityPanel {
    fn bins(&self) -> impl Iterator<Item = Bin> {
        let Reliability { pixels, confidence, accuracy } = &self.reliability;
        let count = pixels.len() as f64;
        pixels.iter().zip(confidence).zip(accuracy).enumerate().map(move |(i, ((&pixels, &confidence), &accuracy))| {
            Bin { low: i as f64 / count, high: (i + 1) as f64 / count, pixels, confidence, accuracy }
        })
    }

    fn scene(&self) -> Scene {
        let left = LABEL + 6.0 + font::width("1.0", TICK) + 6.0;
        let heading = font::wrap(&heading(&self.label, &self.detail), LABEL, left + SIDE);
        let ece = format!("ECE {:.2} %", self.expected_error * 100.0);
        let ece = if self.state.is_empty() { ece } else { format!("{}: {ece}", self.state) };
        let top = (heading.len() + 1) as f64 * LABEL * 1.5 + 4.0;
        let (bottom, right) = (top + SIDE, left + SIDE);
        let mut scene = Scene { width: right + TICK, height: 0.0, shapes: Vec::new() };
        for (row, line) in heading.into_iter().chain([ece]).enumerate() {
            let at = (scene.width / 2.0, LABEL * (0.9 + 1.5 * row as f64));
            scene.text(line, at, Anchor::Middle, LABEL, INK);
        }
        let at = |x: f64, y: f64| (left + x * SIDE, bottom - y * SIDE);
        let ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        for tick in ticks {
            scene.line(vec![at(0.0, tick), at(1.0, tick)], GRID, 1.0, &[]);
            let label = format!("{tick:.1}");
            scene.text(label, (left - 6.0, at(0.0, tick).1 + TICK * 0.36), Anchor::End, TICK, GREY);
        }
        let mut most = 1;
        for bin in self.bins().filter(|bin| bin.pixels > 0) {
            scene.rectangle(at(bin.low, bin.accuracy), at(bin.high, 0.0), SKY_BLUE, 1.0);
            let (low, high) = (bin.accuracy.min(bin.confidence), bin.accuracy.max(bin.confidence));
            scene.rectangle(at(bin.low, high), at(bin.high, low), ORANGE, 0.6);
            scene.line(vec![at(bin.low, bin.accuracy), at(bin.high, bin.accuracy)], BLUE, 1.6, &[]);
            let corners = [(bin.low, 0.0), (bin.low, bin.accuracy), (bin.high, bin.accuracy), (bin.high, 0.0)];
            scene.line(corners.map(|(x, y)| at(x, y)).to_vec(), BLUE, 0.7, &[]);
            most = most.max(bin.pixels);
        }
        scene.line(vec![at(0.0, 0.0), at(1.0, 1.0)], INK, 1.2, &[5.0, 3.0]);
        for corners in [[(0.0, 1.0), (0.0, 0.0)], [(0.0, 0.0), (1.0, 0.0)]] {
            scene.line(corners.map(|(x, y)| at(x, y)).to_vec(), GREY, 1.0, &[]);
        }
        // The shares of pixels hang on a line of their own below.
        let base = bottom + SPACE + COUNTS;
        for bin in self.bins().filter(|bin| bin.pixels > 0) {
            let height = bin.pixels as f64 / most as f64 * COUNTS;
            let (from, to) = ((at(bin.low, 0.0).0 + 0.5, base - height), (at(bin.high, 0.0).0 - 0.5, base));
            scene.rectangle(from, to, LINE, 1.0);
        }
        scene.line(vec![(left, base), (right, base)], GREY, 1.0, &[]);
        let all = self.reliability.pixels.iter().sum::<u64>().max(1);
        let highest = format!("highest: {:.0} %", most as f64 / all as f64 * 100.0);
        scene.text(highest, (left + 3.0, base - COUNTS + TICK * 0.8), Anchor::Start, TICK, GREY);
        for tick in ticks {
            let label = format!("{tick:.1}");
            scene.text(label, (at(tick, 0.0).0, base + 4.0 + TICK * 0.9), Anchor::Middle, TICK, GREY);
        }
        let end = base + 4.0 + TICK + SPACE + LABEL;
        scene.text("confidence", (left + SIDE / 2.0, end - LABEL * 0.25), Anchor::Middle, LABEL, INK);
        for (text, middle) in [("accuracy", top + SIDE / 2.0), ("pixels", base - COUNTS / 2.0)] {
            let (text, at) = (text.to_owned(), (LABEL * 0.8, middle));
            scene.shapes.push(Shape::Text(Text {
                text,
                at,
                anchor: Anchor::Middle,
                size: LABEL,
                colour: INK,
                turned: true,
            }));
        }
        scene.height = end;
        scene
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::assert_readable;

    fn panel(label: &str) -> ReliabilityPanel {
        let mut reliability = Reliability::default();
        for bin in 0..15u64 {
            let middle = (bin as f64 + 0.5) / 15.0;
            let is_empty = bin < 5;
            reliability.pixels.push(if is_empty { 0 } else { (bin - 4).pow(3) * 100 });
            reliability.confidence.push(if is_empty { 0.0 } else { middle });
            reliability.accuracy.push(if is_empty { 0.0 } else { middle * 0.85 });
        }
        ReliabilityPanel {
            label: label.into(),
            detail: "2 seeds".into(),
            state: "before".into(),
            expected_error: 0.1234,
            reliability,
        }
    }

    #[test]
    fn the_diagram_shows_bins_error_and_counts() {
        let figure = ReliabilityFigure { title: Some("test images".into()), panels: vec![panel("MatSSL")] };
        let svg = figure.svg();
        assert!(svg.contains(">before: ECE 12.34 %</text>") && svg.contains(">test images</text>"), "{svg}");
        // Ten bins hold pixels: a bar, a difference and a count each.
        assert_eq!(svg.matches("fill=\"#56b4e9\"").count(), 10);
        assert_eq!(svg.matches("fill=\"#e69f00\" fill-opacity=\"0.6\"").count(), 10);
        assert_eq!(svg.matches("fill=\"#999999\"").count(), 10);
        // The fullest bin has 1000 of 3025 hundreds.
        assert!(svg.contains(">highest: 33 %</text>"), "{svg}");
        let csv = figure.csv().unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 16);
        assert_eq!(lines[1], "MatSSL,before,0,0.06666666666666667,0,,", "an empty bin has no accuracy");
        assert!(
            lines[15].starts_with("MatSSL,before,0.9333333333333333,1,100000,0.9666666666666667,0.82"),
            "{}",
            lines[15]
        );
    }

    #[test]
    fn texts_do_not_overlap() {
        let long = "a label that goes on and on until it has to be cut because nobody could fit it anywhere";
        for count in 0..6 {
            let panels = (0..count).map(|_| panel(long)).collect();
            assert_readable(&ReliabilityFigure { title: Some(long.repeat(3)), panels }.scene());
        }
        let none = ReliabilityPanel {
            label: "x".into(),
            detail: String::new(),
            state: String::new(),
            expected_error: 0.0,
            reliability: Reliability::default(),
        };
        assert_readable(&ReliabilityFigure { title: None, panels: vec![none] }.scene());
    }
}
