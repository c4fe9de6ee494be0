//! Confusion matrices as a figure: rows are the truth, columns the prediction.

use crate::font;
use crate::palette::{BLUE, Colour, GREY, INK, LINE, WHITE, blend};
use crate::panels::{arranged, heading};
use crate::scene::{Anchor, Scene, Shape, Text};
use matssl_metrics::Confusion;

/// A figure: SVG, PNG, and the CSV behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionFigure {
    /// Stands above it.
    pub title: Option<String>,
    /// From left to right.
    pub panels: Vec<ConfusionPanel>,
}

/// One confusion matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionPanel {
    /// What it is the matrix of: in the heading and in the CSV.
    pub label: String,
    /// Stands in the heading only, e.g. the images and the number of seeds; may be empty.
    pub detail: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Pixels.
    pub confusion: Confusion,
}

const LABEL: f64 = 12.5;
const SMALL: f64 = 10.0;
/// Longest name of a class, in pixels.
const LONGEST: f64 = 130.0;
/// Space between a name and its cells.
const SPACE: f64 = 8.0;
/// What the figure says of itself.
const NOTE: &str = "Each cell: the share of the true class (row) that was predicted as the class of the column, and its pixels. \
    Grey: the class's share of all pixels, in the truth (left) and in the prediction (below).";

impl ConfusionFigure {
    /// The figure as an SVG file whose text is text (in the viewer's sans-serif).
    pub fn svg(&self) -> String {
        self.scene().to_svg(self.title.as_deref().unwrap_or("confusion matrix"))
    }

    /// The figure as a PNG file of twice the size.
    ///
    /// # Errors
    /// If the shipped font cannot be read.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        crate::png_rgb(&self.scene().to_image(2)?)
    }

    /// The numbers behind the figure: `row,truth,prediction,pixels,share`; `share` is of the true class, empty for a class that
    /// is not in the truth.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["row", "truth", "prediction", "pixels", "share"])?;
        for panel in &self.panels {
            for (truth, true_name) in panel.classes.iter().enumerate() {
                for (prediction, name) in panel.classes.iter().enumerate() {
                    let pixels = panel.confusion.count(truth, prediction).to_string();
                    let share = panel.share(truth, prediction).map(|share| share.to_string()).unwrap_or_default();
                    writer.write_record([&panel.label, true_name, name, &pixels, &share])?;
                }
            }
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    fn scene(&self) -> Scene {
        arranged(self.title.as_deref(), self.panels.iter().map(ConfusionPanel::scene).collect(), NOTE)
    }
}

impl ConfusionPanel {
    /// The share of the true class `truth` that was predicted as `prediction`; `None` if the truth has no such pixel.
    fn share(&self, truth: usize, prediction: usize) -> Option<f64> {
        let all = self.confusion.truth(truth);
        (all > 0).then(|| self.confusion.count(truth, prediction) as f64 / all as f64)
    }

    /// Side of a cell in pixels.
    fn side(&self) -> f64 {
        match self.classes.len() {
            0..=4 => 78.0,
            5..=8 => 62.0,
            _ => 52.0,
        }
    }

    fn scene(&self) -> Scene {
        let (side, count) = (self.side(), self.classes.len());
        let names: Vec<String> = self.classes.iter().map(|name| font::shorten(name, LABEL, LONGEST)).collect();
        let widest = names.iter().map(|name| font::width(name, LABEL)).fold(SMALL * 4.0, f64::max);
        let is_turned = widest > side - 6.0;
        let left = LABEL + SPACE + widest + SPACE;
        let cells = side * count as f64;
        let heading = font::wrap(&heading(&self.label, &self.detail), LABEL, left + cells);
        let top = heading.len() as f64 * LABEL * 1.5 + 2.0;
        let bottom = top + cells;
        let mut scene = Scene { width: left + cells + 1.0, height: 0.0, shapes: Vec::new() };
        for (row, line) in heading.into_iter().enumerate() {
            let at = (left + cells / 2.0, LABEL * (0.9 + 1.5 * row as f64));
            // A heading that is wider than its matrix begins at the left edge.
            match font::width(&line, LABEL) / 2.0 <= cells / 2.0 {
                true => scene.text(line, at, Anchor::Middle, LABEL, INK),
                false => scene.text(line, (0.0, at.1), Anchor::Start, LABEL, INK),
            }
        }
        for truth in 0..count {
            for prediction in 0..count {
                let corner = (left + side * prediction as f64, top + side * truth as f64);
                self.draw_cell(&mut scene, corner, truth, prediction);
            }
        }
        for line in 0..=count {
            let along = side * line as f64;
            scene.line(vec![(left, top + along), (left + cells, top + along)], LINE, 1.0, &[]);
            scene.line(vec![(left + along, top), (left + along, bottom)], LINE, 1.0, &[]);
        }
        let all = self.confusion.total().max(1) as f64;
        for (class, name) in names.iter().enumerate() {
            let middle = top + side * (class as f64 + 0.5);
            let of_all = |pixels: u64| percent(pixels as f64 / all);
            scene.text(name, (left - SPACE, middle), Anchor::End, LABEL, INK);
            let share = of_all(self.confusion.truth(class));
            scene.text(share, (left - SPACE, middle + SMALL * 1.4), Anchor::End, SMALL, GREY);
            let centre = left + side * (class as f64 + 0.5);
            let share = of_all(self.confusion.prediction(class));
            scene.text(share, (centre, bottom + SPACE + SMALL * 0.6), Anchor::Middle, SMALL, GREY);
            let below = bottom + SPACE + SMALL * 1.5;
            match is_turned {
                false => scene.text(name, (centre, below + LABEL * 0.8), Anchor::Middle, LABEL, INK),
                true => {
                    let at = (centre + LABEL * 0.36, below);
                    let (text, anchor) = (name.clone(), Anchor::End);
                    scene.shapes.push(Shape::Text(Text { text, at, anchor, size: LABEL, colour: INK, turned: true }));
                }
            }
        }
        let below = bottom + SPACE + SMALL * 1.5 + if is_turned { widest } else { LABEL };
        let end = below + SPACE + LABEL;
        scene.text("prediction", (left + cells / 2.0, end - LABEL * 0.25), Anchor::Middle, LABEL, GREY);
        let (text, at) = ("truth".to_owned(), (LABEL * 0.8, top + cells / 2.0));
        let turned = Text { text, at, anchor: Anchor::Middle, size: LABEL, colour: GREY, turned: true };
        scene.shapes.push(Shape::Text(turned));
        scene.height = end;
        scene
    }

    fn draw_cell(&self, scene: &mut Scene, (x, y): (f64, f64), truth: usize, prediction: usize) {
        let side = self.side();
        let share = self.share(truth, prediction);
        let shade = blend(WHITE, BLUE, share.unwrap_or(0.0));
        scene.rectangle((x, y), (x + side, y + side), shade, 1.0);
        let colour = ink_on(shade);
        let (middle, size) = (y + side / 2.0, if side > 70.0 { 14.0 } else { 12.0 });
        let text = share.map_or_else(|| "–".to_owned(), percent);
        scene.text(text, (x + side / 2.0, middle), Anchor::Middle, size, colour);
        let pixels = in_short(self.confusion.count(truth, prediction));
        scene.text(pixels, (x + side / 2.0, middle + SMALL * 1.5), Anchor::Middle, SMALL, colour);
    }
}

/// Black or white, whichever has the higher contrast on `shade` (WCAG 2).
fn ink_on(shade: Colour) -> Colour {
    let linear = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * linear(shade[0]) + 0.7152 * linear(shade[1]) + 0.0722 * linear(shade[2]);
    if luminance > 0.179 { INK } else { WHITE }
}

/// One decimal; two words for what rounding would hide.
fn percent(share: f64) -> String {
    match share * 100.0 {
        value if value > 0.0 && value < 0.05 => "<0.1 %".into(),
        value if (99.95..100.0).contains(&value) => ">99.9 %".into(),
        value => format!("{value:.1} %"),
    }
}

/// A number of pixels in at most three digits and a unit: `123`, `12.3 k`, `1.23 M`.
fn in_short(pixels: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)];
    let value = pixels as f64;
    // 999.6 k would be written as 1000 k.
    match UNITS.into_iter().find(|(unit, size)| !unit.is_empty() && value >= size * 0.9995) {
        None => pixels.to_string(),
        Some((unit, size)) => {
            let value = value / size;
            let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
            format!("{value:.decimals$} {unit}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::assert_readable;

    /// A matrix in which class 1 is half confused with class 0, as in no real network.
    fn panel(label: &str, classes: &[&str]) -> ConfusionPanel {
        let count = classes.len();
        let pixels = |i: usize| match (i / count, i % count) {
            (1, 0 | 1) => 500_000,
            (truth, prediction) if truth == prediction => 1_234_567,
            (truth, prediction) => ((truth * 31 + prediction * 17) % 9 * 1000) as u64,
        };
        let counts = (0..count * count).map(pixels).collect();
        let classes = classes.iter().map(|&name| name.to_owned()).collect();
        ConfusionPanel {
            label: label.into(),
            detail: "test images".into(),
            classes,
            confusion: Confusion::from_counts(count, counts).unwrap(),
        }
    }

    #[test]
    fn rows_are_the_truth_and_shares_are_of_the_true_class() {
        let counts = vec![750, 250, 0, 0];
        let confusion = Confusion::from_counts(2, counts).unwrap();
        let classes = ["matrix".to_owned(), "a, b".to_owned()].into();
        let figure = ConfusionFigure {
            title: None,
            panels: vec![ConfusionPanel { label: "MatSSL".into(), detail: String::new(), classes, confusion }],
        };
        let expected = "row,truth,prediction,pixels,share\nMatSSL,matrix,matrix,750,0.75\nMatSSL,matrix,\"a, b\",250,0.25\n\
             MatSSL,\"a, b\",matrix,0,\nMatSSL,\"a, b\",\"a, b\",0,\n";
        assert_eq!(figure.csv().unwrap(), expected);
        let svg = figure.svg();
        let text_at = |text: &str| {
            let line = svg.lines().find(|line| line.ends_with(&format!(">{text}</text>"))).unwrap();
            let number = |name: &str| {
                let rest = line.split(&format!(" {name}=\"")).nth(1).unwrap();
                rest.split('"').next().unwrap().parse::<f64>().unwrap()
            };
            (number("x"), number("y"))
        };
        // Right of the correct cell, in the same row.
        assert_eq!(text_at("75.0 %").1, text_at("matrix").1);
        let right = svg.matches(">25.0 %<").count();
        assert_eq!(right, 2, "the cell, and the share of the second class in the prediction");
        assert_eq!(text_at("250").0 - text_at("750").0, 78.0);
        // A class that is not in the truth has no shares.
        assert_eq!(svg.matches(">–</text>").count(), 2);
        assert!(svg.contains(">100.0 %<") && svg.contains(">0.0 %<"), "{svg}");
        // Three quarters of the way from white to blue.
        assert!(svg.contains("fill=\"#4095c5\""), "{svg}");
    }

    #[test]
    fn two_to_twelve_classes_are_readable() {
        let long = "martensite with retained austenite and then some";
        let names = ["matrix", "austenite", long, "pores", "B", "ferrite", "pearlite", "bainite", "c", "d", "e", "f"];
        let names = |count: usize| &names[..count];
        for count in 2..=12 {
            let panels = vec![panel("MatSSL", names(count)), panel(long, names(count)), panel("x", names(count))];
            let scene = ConfusionFigure { title: Some(long.repeat(2)), panels }.scene();
            assert_readable(&scene);
            assert!(scene.width <= 1010.0, "{count} classes: {}", scene.width);
        }
        assert_readable(&ConfusionFigure { title: None, panels: vec![] }.scene());
    }

    #[test]
    fn numbers_are_short_and_hide_nothing() {
        let counts = [0, 999, 1000, 12_345, 999_499, 999_600, 1_234_567, 99_960_000, 3_000_000_000];
        let short = ["0", "999", "1.00 k", "12.3 k", "999 k", "1.00 M", "1.23 M", "100 M", "3.00 G"];
        assert_eq!(counts.map(in_short), short);
        assert_eq!(
            [0.0, 1e-6, 0.123_45, 0.9999, 1.0].map(percent),
            ["0.0 %", "<0.1 %", "12.3 %", ">99.9 %", "100.0 %"]
        );
        assert_eq!([ink_on(WHITE), ink_on(BLUE)], [INK, WHITE]);
    }

    #[test]
    fn the_bitmap_has_twice_the_size() {
        let figure = ConfusionFigure { title: Some("test images".into()), panels: vec![panel("x", &["a", "b", "c"])] };
        let scene = figure.scene();
        let picture = image::load_from_memory(&figure.png().unwrap()).unwrap();
        assert_eq!(picture.width(), (scene.width * 2.0).ceil() as u32);
        assert_eq!(picture.height(), (scene.height * 2.0).ceil() as u32);
    }
}
