//! Shapes.

use crate::font;
use crate::palette::Colour;

/// x to the right, y down, in pixels at scale 1.
pub(crate) type Point = (f64, f64);

/// Which point of a text is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// The given point, on the baseline.
    pub(crate) at: Point,
    pub(crate) anchor: Anchor,
    /// Pixels an em.
    pub(crate) size: f64,
    pub(crate) colour: Colour,
    /// Runs from bottom to top.
    pub(crate) turned: bool,
}

impl Text {
    /// Length of the text before `at`.
    fn before(&self) -> f64 {
        match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => font::width(&self.text, self.size) / 2.0,
            Anchor::End => font::width(&self.text, self.size),
        }
    }

    /// Where the first letter starts on the baseline.
    pub(crate) fn start(&self) -> Point {
        let (x, y) = self.at;
        if self.turned { (x, y + self.before()) } else { (x - self.before(), y) }
    }

    /// The rectangle around the letters: (left, top, right, bottom).
    #[cfg(test)]
    pub(crate) fn bounds(&self) -> (f64, f64, f64, f64) {
        let width = font::width(&self.text, self.size);
        // The letters of DejaVu Sans stay between 0.76 em above and 0.24 em below the baseline.
        let (above, below) = (0.76 * self.size, 0.24 * self.size);
        let (x, y) = self.start();
        if self.turned { (x - above, y - width, x + below, y) } else { (x, y - above, x + width, y + below) }
    }
}

/// A shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// An open line. `dash` holds lengths that are drawn and left out in turn; a solid line has none.
    Line { points: Vec<Point>, colour: Colour, width: f64, dash: &'static [f64] },
    /// A filled polygon.
    Area { points: Vec<Point>, colour: Colour, opacity: f64 },
    /// A filled circle.
    Disc { centre: Point, radius: f64, colour: Colour },
    /// A line of text.
    Text(Text),
}

/// Shapes on white, in the order in which they are drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    pub(crate) fn line(&mut self, points: Vec<Point>, colour: Colour, width: f64, dash: &'static [f64]) {
        self.shapes.push(Shape::Line { points, colour, width, dash });
    }

    pub(crate) fn area(&mut self, points: Vec<Point>, colour: Colour, opacity: f64) {
        self.shapes.push(Shape::Area { points, colour, opacity });
    }

    /// A filled rectangle from the upper left to the lower right.
    pub(crate) fn rectangle(&mut self, (left, top): Point, (right, bottom): Point, colour: Colour, opacity: f64) {
        self.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], colour, opacity);
    }

    /// An upright text.
    pub(crate) fn text(&mut self, text: impl Into<String>, at: Point, anchor: Anchor, size: f64, colour: Colour) {
        self.shapes.push(Shape::Text(Text { text: text.into(), at, anchor, size, colour, turned: false }));
    }

    /// Adds all shapes of `other`, moved by `by`.
    pub(crate) fn place(&mut self, other: Scene, by: Point) {
        let moved = |(x, y): Point| (x + by.0, y + by.1);
        let all = |points: Vec<Point>| points.into_iter().map(moved).collect();
        self.shapes.extend(other.shapes.into_iter().map(|shape| match shape {
            Shape::Line { points, colour, width, dash } => Shape::Line { points: all(points), colour, width, dash },
            Shape::Area { points, colour, opacity } => Shape::Area { points: all(points), colour, opacity },
            Shape::Disc { centre, radius, colour } => Shape::Disc { centre: moved(centre), radius, colour },
            Shape::Text(text) => Shape::Text(Text { at: moved(text.at), ..text }),
        }));
    }
}
