//! Which line is whose.

use super::plot::Plot;
use crate::font;
use crate::palette::{self, Colour, GREY, GRID, INK, WHITE};
use crate::scene::{Anchor, Point, Scene, Shape};

/// How a series looks: told apart by colour, and in grey by dashes and the shape of the mark.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: Colour,
    pub(super) dash: &'static [f64],
    mark: usize,
}

const DASHES: [&[f64]; 5] = [&[], &[7.0, 3.0], &[2.0, 2.5], &[9.0, 3.0, 2.0, 3.0], &[14.0, 3.0]];
/// Corners of a mark about its centre, at radius 1; the circle has none.
const MARKS: [&[Point]; 5] = [
    &[],
    &[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    &[(0.0, -1.15), (1.1, 0.8), (-1.1, 0.8)],
    &[(0.0, -1.25), (1.1, 0.0), (0.0, 1.25), (-1.1, 0.0)],
    &[(0.0, 1.15), (1.1, -0.8), (-1.1, -0.8)],
];
const RADIUS: f64 = 4.6;

impl Style {
    /// Of the series with this number.
    pub(super) fn of(number: usize) -> Style {
        Style {
            colour: palette::SERIES[number % palette::SERIES.len()],
            dash: DASHES[number % DASHES.len()],
            mark: number % MARKS.len(),
        }
    }

    /// Draws the mark of the best epoch, with a white rim.
    pub(super) fn mark(self, scene: &mut Scene, centre: Point) {
        for (radius, colour) in [(RADIUS + 1.3, WHITE), (RADIUS, self.colour)] {
            match MARKS[self.mark] {
                [] => scene.shapes.push(Shape::Disc { centre, radius, colour }),
                corners => {
                    let points = corners.iter().map(|(x, y)| (centre.0 + x * radius, centre.1 + y * radius));
                    scene.area(points.collect(), colour, 1.0);
                }
            }
        }
    }
}

/// A line of the legend.
pub(super) struct Entry {
    pub(super) style: Style,
    /// Has a mark on its line.
    pub(super) marked: bool,
    pub(super) label: String,
    /// In grey after the label.
    pub(super) detail: String,
}

/// All lines of the legend.
pub(super) struct Legend {
    entries: Vec<Entry>,
}

const SIZE: f64 = 11.5;
const ROW: f64 = 18.0;
const SAMPLE: f64 = 46.0;
const GAP: f64 = 8.0;
const PADDING: f64 = 8.0;
/// A longer label is cut.
const LONGEST: f64 = 260.0;

impl Entry {
    fn width(&self) -> f64 {
        let detail = if self.detail.is_empty() { 0.0 } else { GAP + font::width(&self.detail, SIZE) };
        SAMPLE + GAP + font::width(&self.label, SIZE) + detail
    }

    /// Draws it with its middle line at `y`, from `x` to the right.
    fn draw(&self, scene: &mut Scene, (x, y): Point) {
        scene.line(vec![(x, y), (x + SAMPLE, y)], self.style.colour, 2.0, self.style.dash);
        if self.marked {
            self.style.mark(scene, (x + SAMPLE / 2.0, y));
        }
        let x = x + SAMPLE + GAP;
        scene.text(&self.label, (x, y + SIZE * 0.36), Anchor::Start, SIZE, INK);
        if !self.detail.is_empty() {
            let x = x + font::width(&self.label, SIZE) + GAP;
            scene.text(&self.detail, (x, y + SIZE * 0.36), Anchor::Start, SIZE, GREY);
        }
    }
}

impl Legend {
    pub(super) fn new(mut entries: Vec<Entry>) -> Legend {
        for entry in &mut entries {
            entry.label = font::shorten(&entry.label, SIZE, LONGEST);
        }
        Legend { entries }
    }

    fn size(&self) -> (f64, f64) {
        let width = self.entries.iter().map(Entry::width).fold(0.0, f64::max);
        (width + 2.0 * PADDING, self.entries.len() as f64 * ROW + PADDING)
    }

    /// The upper left corner of a place in the plot where the legend covers none of the `obstacles`, if there is one.
    pub(super) fn room_inside(&self, plot: &Plot, obstacles: &[Point]) -> Option<Point> {
        const AWAY: f64 = 8.0;
        let (width, height) = self.size();
        let (left, right) = (plot.left + AWAY, plot.right - AWAY - width);
        let (top, bottom) = (plot.top + AWAY, plot.bottom - AWAY - height);
        if left > right || top > bottom {
            return None;
        }
        let middle = (left + right) / 2.0;
        let places = [(right, bottom), (left, top), (right, top), (left, bottom), (middle, bottom), (middle, top)];
        places.into_iter().find(|&(x, y)| {
            let near = |&(px, py): &Point| {
                (x - AWAY..=x + width + AWAY).contains(&px) && (y - AWAY..=y + height + AWAY).contains(&py)
            };
            !obstacles.iter().any(near)
        })
    }

    /// Draws it in a box, one entry below the other.
    pub(super) fn draw_inside(&self, scene: &mut Scene, (x, y): Point) {
        let (width, height) = self.size();
        if self.entries.is_empty() {
            return;
        }
        scene.rectangle((x - 1.0, y - 1.0), (x + width + 1.0, y + height + 1.0), GRID, 1.0);
        scene.rectangle((x, y), (x + width, y + height), WHITE, 1.0);
        for (row, entry) in self.entries.iter().enumerate() {
            entry.draw(scene, (x + PADDING, y + PADDING / 2.0 + (row as f64 + 0.5) * ROW));
        }
    }

    /// Draws it without a box, as many entries beside each other as `room` has place for; returns where it ends.
    pub(super) fn draw_below(&self, scene: &mut Scene, (left, top): Point, room: f64) -> f64 {
        const BETWEEN: f64 = 24.0;
        let (mut x, mut y) = (left, top);
        for entry in &self.entries {
            let width = entry.width();
            if x > left && x + width > left + room {
                (x, y) = (left, y + ROW);
            }
            entry.draw(scene, (x, y + ROW / 2.0));
            x += width + BETWEEN;
        }
        y + ROW
    }
}
