//! The legend.

use super::plot::Plot;
use super::style::Style;
use crate::font;
use crate::palette::{GREY, GRID, INK, WHITE};
use crate::scene::{Anchor, Point, Scene};

/// An entry of the legend.
pub(super) struct Entry {
    pub(super) style: Style,
    /// Whether its sample line has a mark.
    pub(super) marked: bool,
    pub(super) label: String,
    /// In grey after the label.
    pub(super) detail: String,
}

/// All entries of the legend.
pub(super) struct Legend {
    entries: Vec<Entry>,
}

const SIZE: f64 = 11.5;
const ROW: f64 = 18.0;
const SAMPLE: f64 = 46.0;
const GAP: f64 = 8.0;
const PADDING: f64 = 8.0;
/// Longer labels are shortened.
const LONGEST: f64 = 260.0;

impl Entry {
    fn width(&self) -> f64 {
        let detail = if self.detail.is_empty() { 0.0 } else { GAP + font::width(&self.detail, SIZE) };
        SAMPLE + GAP + font::width(&self.label, SIZE) + detail
    }

    /// Draws it from `x` to the right, with its middle at `y`.
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

    /// The upper left corner of a free area in the plot, where the legend covers none of the `obstacles`; `None` if there is none.
    pub(super) fn corner_inside(&self, plot: &Plot, obstacles: &[Point]) -> Option<Point> {
        const AWAY: f64 = 8.0;
        let (width, height) = self.size();
        let (left, right) = (plot.left + AWAY, plot.right - AWAY - width);
        let (top, bottom) = (plot.top + AWAY, plot.bottom - AWAY - height);
        if left > right || top > bottom {
            return None;
        }
        let middle = (left + right) / 2.0;
        let corners = [(right, bottom), (left, top), (right, top), (left, bottom), (middle, bottom), (middle, top)];
        corners.into_iter().find(|&(x, y)| {
            let near = |&(px, py): &Point| {
                (x - AWAY..=x + width + AWAY).contains(&px) && (y - AWAY..=y + height + AWAY).contains(&py)
            };
            !obstacles.iter().any(near)
        })
    }

    /// Draws it in a box, one entry per row.
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

    /// Draws it without a box, with as many entries per row as fit into `room`. Returns its lower end.
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
