//! Colours, dashes and marks of series.

use crate::palette::{self, Colour, WHITE};
use crate::scene::{Point, Scene, Shape};

/// The look of a series. Colours tell series apart; on grey paper dashes and marks do.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: Colour,
    pub(super) dash: &'static [f64],
    mark: usize,
}

const DASHES: [&[f64]; 5] = [&[], &[7.0, 3.0], &[2.0, 2.5], &[9.0, 3.0, 2.0, 3.0], &[14.0, 3.0]];
/// Corners of each mark around its centre, at radius 1; the circle has none.
const MARKS: [&[Point]; 5] = [
    &[],
    &[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    &[(0.0, -1.15), (1.1, 0.8), (-1.1, 0.8)],
    &[(0.0, -1.25), (1.1, 0.0), (0.0, 1.25), (-1.1, 0.0)],
    &[(0.0, 1.15), (1.1, -0.8), (-1.1, -0.8)],
];
const RADIUS: f64 = 4.6;

impl Style {
    /// The style of the series with this number.
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
