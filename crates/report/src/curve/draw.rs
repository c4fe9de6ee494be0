//! The figure as a picture.

use super::figure::Curve;
use super::legend::{Entry, Legend};
use super::metric::{axis_label, is_share};
use super::over::Over;
use super::plot::Plot;
use super::series::{Point, Series};
use super::style::Style;
use crate::axis::Axis;
use crate::font;
use crate::palette::{GREY, GRID, INK};
use crate::scene::{Anchor, Scene, Shape, Text};
use crate::table::TEST_MARK;

const WIDTH: f64 = 680.0;
const PLOT_HEIGHT: f64 = 320.0;
const MARGIN: f64 = 14.0;
const TITLE: f64 = 14.0;
const LABEL: f64 = 12.5;
const TICK: f64 = 11.5;
const NOTE: f64 = 10.0;
const LINE: f64 = 1.8;

impl Curve {
    /// The figure as an SVG file whose text is text (in the viewer's sans-serif).
    pub fn svg(&self) -> String {
        self.scene().to_svg(self.title.as_deref().unwrap_or(&self.metric))
    }

    /// The figure as a PNG file of twice the size.
    ///
    /// # Errors
    /// If the shipped font cannot be read.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        crate::png_rgb(&self.scene().to_image(2)?)
    }

    pub(super) fn scene(&self) -> Scene {
        let (x, y) = self.axes();
        let tick_width = y.ticks().iter().map(|(_, label)| font::width(label, TICK)).fold(0.0, f64::max);
        let title = font::wrap(self.title.as_deref().unwrap_or_default(), TITLE, WIDTH - 2.0 * MARGIN);
        let top = MARGIN + 4.0 + title.len() as f64 * (TITLE * 1.35);
        let last_tick = x.ticks().last().map_or(0.0, |(_, label)| font::width(label, TICK) / 2.0);
        let plot = Plot {
            left: MARGIN + LABEL + 10.0 + tick_width + 7.0,
            top,
            right: WIDTH - MARGIN.max(last_tick + 4.0),
            bottom: top + PLOT_HEIGHT,
            x,
            y,
        };
        let mut scene = Scene { width: WIDTH, height: plot.bottom, shapes: Vec::new() };
        for (row, line) in title.into_iter().enumerate() {
            let baseline = MARGIN + TITLE * 0.8 + row as f64 * TITLE * 1.35;
            scene.text(line, (WIDTH / 2.0, baseline), Anchor::Middle, TITLE, INK);
        }
        self.draw_axes(&mut scene, &plot);
        for (number, series) in self.series.iter().enumerate() {
            self.draw_band(&mut scene, &plot, series, Style::of(number));
        }
        for (number, series) in self.series.iter().enumerate() {
            let style = Style::of(number);
            scene.line(self.path(&plot, series), style.colour, LINE, style.dash);
            if let [only] = series.points.as_slice() {
                let at = plot.at(only.at as f64, only.value.mean * self.unit());
                scene.shapes.push(Shape::Disc { centre: at, radius: LINE, colour: style.colour });
            }
        }
        for (number, series) in self.series.iter().enumerate() {
            for point in self.marked(series) {
                Style::of(number).mark(&mut scene, plot.at(point.at as f64, point.value.mean * self.unit()));
            }
        }
        let legend = Legend::new(self.series.iter().enumerate().map(|(n, s)| self.entry(n, s)).collect());
        let mut bottom = plot.bottom + 7.0 + TICK + 9.0 + LABEL;
        match legend.corner_inside(&plot, &self.obstacles(&plot)) {
            Some(corner) => legend.draw_inside(&mut scene, corner),
            None => bottom = legend.draw_below(&mut scene, (plot.left, bottom + 8.0), plot.right - plot.left),
        }
        for line in font::wrap(&self.note(), NOTE, plot.right - plot.left) {
            bottom += NOTE * 1.5;
            scene.text(line, (plot.left, bottom), Anchor::Start, NOTE, GREY);
        }
        scene.height = (bottom + MARGIN).ceil();
        scene
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let fold = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ends = |p: &Point| [p.value.mean - p.value.std.unwrap_or(0.0), p.value.mean + p.value.std.unwrap_or(0.0)];
        let (low, high) = fold(&mut points().flat_map(ends).map(|value| value * self.unit()));
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let limits = if is_share(&self.metric) { (0.0, 100.0) } else { (f64::NEG_INFINITY, f64::INFINITY) };
        let y = Axis::covering(low.max(limits.0), high.min(limits.1), 6.0, 0.0, limits);

        let (first, last) = fold(&mut points().map(|point| point.at as f64));
        let (first, last) = if last.is_finite() { (first, last) } else { (0.0, 1.0) };
        // Histories count epochs from 0 or from 1: an axis from 0 fits both. One epoch alone is in the middle.
        let first = if first <= 1.0 && last > 1.0 { 0.0 } else { first };
        let x = Axis::covering(first, last, 8.0, 1.0, (0.0, f64::INFINITY));
        let x = if last > first { x.cut_to(first, last) } else { x.cut_to(first - 1.0, first + 1.0) };
        (x, y)
    }

    fn draw_axes(&self, scene: &mut Scene, plot: &Plot) {
        for (value, label) in plot.y.ticks() {
            let (_, y) = plot.at(0.0, value);
            scene.line(vec![(plot.left, y), (plot.right, y)], GRID, 1.0, &[]);
            scene.text(label, (plot.left - 7.0, y + TICK * 0.36), Anchor::End, TICK, GREY);
        }
        for (value, label) in plot.x.ticks().into_iter().filter(|(value, _)| *value >= 0.0) {
            let (x, _) = plot.at(value, 0.0);
            scene.line(vec![(x, plot.top), (x, plot.bottom)], GRID, 1.0, &[]);
            scene.line(vec![(x, plot.bottom), (x, plot.bottom + 4.0)], GREY, 1.0, &[]);
            scene.text(label, (x, plot.bottom + 7.0 + TICK * 0.8), Anchor::Middle, TICK, GREY);
        }
        scene.line(vec![(plot.left, plot.top), (plot.left, plot.bottom)], GREY, 1.0, &[]);
        scene.line(vec![(plot.left, plot.bottom), (plot.right, plot.bottom)], GREY, 1.0, &[]);
        let middle = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        scene.text(
            self.over.axis(),
            (middle.0, plot.bottom + 7.0 + TICK + 7.0 + LABEL * 0.8),
            Anchor::Middle,
            LABEL,
            INK,
        );
        let text = font::shorten(&axis_label(&self.metric, self.validation()), LABEL, plot.bottom - plot.top);
        let at = (MARGIN + LABEL * 0.8, middle.1);
        let label = Text { text, at, anchor: Anchor::Middle, size: LABEL, colour: INK, turned: true };
        scene.shapes.push(Shape::Text(label));
    }

    fn path(&self, plot: &Plot, series: &Series) -> Vec<(f64, f64)> {
        series.points.iter().map(|p| plot.at(p.at as f64, p.value.mean * self.unit())).collect()
    }

    /// The band mean ± std, over each run of epochs that have a deviation.
    fn draw_band(&self, scene: &mut Scene, plot: &Plot, series: &Series, style: Style) {
        for run in series.points.split(|point| point.value.std.is_none()).filter(|run| run.len() > 1) {
            let edge = |sign: f64| {
                move |p: &Point| {
                    let value = p.value.mean + sign * p.value.std.unwrap_or(0.0);
                    plot.at(p.at as f64, value * self.unit())
                }
            };
            let mut outline: Vec<_> = run.iter().map(edge(1.0)).collect();
            outline.extend(run.iter().rev().map(edge(-1.0)));
            scene.area(outline, style.colour, 0.18);
        }
    }

    /// Points that the legend must not cover: along all lines and edges of bands, at most 3 pixels apart.
    fn obstacles(&self, plot: &Plot) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for series in &self.series {
            for sign in [-1.0, 0.0, 1.0] {
                let edge: Vec<_> = series
                    .points
                    .iter()
                    .map(|p| (p.at as f64, (p.value.mean + sign * p.value.std.unwrap_or(0.0)) * self.unit()))
                    .map(|(x, y)| plot.at(x, y))
                    .collect();
                points.extend(edge.first());
                for pair in edge.windows(2) {
                    let steps = ((pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1) / 3.0).ceil().max(1.0);
                    points.extend((1..=steps as usize).map(|i| {
                        let share = i as f64 / steps;
                        (pair[0].0 + (pair[1].0 - pair[0].0) * share, pair[0].1 + (pair[1].1 - pair[0].1) * share)
                    }));
                }
            }
        }
        points
    }

    /// The points with a mark: the best epoch, or each number of labelled images.
    fn marked(&self, series: &Series) -> Vec<Point> {
        match self.over {
            Over::Epochs => series.best(&self.metric).into_iter().collect(),
            Over::LabelledImages => series.points.clone(),
        }
    }

    fn entry(&self, number: usize, series: &Series) -> Entry {
        let best = series.best(&self.metric).filter(|_| self.over == Over::Epochs);
        let detail = match best {
            Some(best) if is_share(&self.metric) => format!("{:.2} at epoch {}", best.value.mean * 100.0, best.at),
            Some(best) => format!("{} at epoch {}", four_digits(best.value.mean), best.at),
            None => String::new(),
        };
        let label = if series.on_test { format!("{} {TEST_MARK}", series.label) } else { series.label.clone() };
        Entry { style: Style::of(number), marked: !self.marked(series).is_empty(), label, detail }
    }

    fn note(&self) -> String {
        let mut counts: Vec<usize> = self.series.iter().flat_map(|s| &s.points).map(|p| p.value.n).collect();
        counts.sort_unstable();
        let mut note = match (counts.first(), counts.last()) {
            (Some(1), Some(1)) => "Line: one seed.".to_owned(),
            (Some(low), Some(high)) if low == high => {
                format!("Line: mean of {high} seeds; band: ± 1 standard deviation.")
            }
            (Some(low), Some(high)) => {
                format!("Line: mean of {low} to {high} seeds; band: ± 1 standard deviation, for several seeds.")
            }
            _ => "No values.".to_owned(),
        };
        if self.over == Over::Epochs && self.series.iter().any(|series| !self.marked(series).is_empty()) {
            note += " Mark: best epoch.";
        }
        if self.series.iter().any(|series| series.on_test) {
            note += &format!(" {TEST_MARK}: curve of the test images, on which the epoch was also chosen.");
        }
        note
    }
}

/// Four significant digits, for values without a fixed scale.
fn four_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if (-4..6).contains(&magnitude) {
        format!("{value:.*}", (3 - magnitude).max(0) as usize)
    } else {
        format!("{value:.3e}")
    }
}
