//! A shape of an annotation file: its name and the region that it covers.

use super::problem::{Place, Problem};
use super::runs::Runs;
use crate::rasterize::Corner;

/// An annotated object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// Where it stands, in the file's own words: `annotation 17`, `polygon 3`.
    pub(super) place: String,
    /// The name of its class; empty if it has none.
    pub(super) name: String,
    /// What it covers.
    pub(super) region: Region,
}

/// A region. Coordinates are in pixels from the corner of the image's first pixel, whose centre is (0.5, 0.5).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Region {
    /// The union of polygons. A polygon is a list of rings, of which those inside another are holes (even-odd rule).
    Polygons(Vec<Vec<Vec<Corner>>>),
    /// An ellipse.
    Ellipse {
        /// Its centre.
        center: Corner,
        /// Half its axes.
        radii: (f64, f64),
        /// Its turn in radians, clockwise as displayed.
        angle: f64,
    },
    /// Pixels, run-length encoded.
    Runs(Runs),
    /// Pixels in a png file: all that are not 0.
    Png {
        /// Column of the first pixel.
        left: i64,
        /// Row of the first pixel.
        top: i64,
        /// Width and height.
        size: (usize, usize),
        /// The file.
        bytes: Vec<u8>,
    },
    /// A line or a point; in the file's own word.
    NoArea(String),
}

impl Region {
    /// A polygon without holes.
    ///
    /// # Errors
    /// As [`ring`].
    pub(super) fn polygon(place: &Place<'_>, corners: Vec<Corner>) -> Result<Self, Problem> {
        Ok(Region::Polygons(vec![vec![ring(place, corners)?]]))
    }

    /// A rectangle between two corners, turned about its centre by `angle` (radians, clockwise as displayed).
    ///
    /// # Errors
    /// If it has no area.
    pub(super) fn rectangle(place: &Place<'_>, (a, b): (Corner, Corner), angle: f64) -> Result<Self, Problem> {
        let size = ((b.0 - a.0).abs(), (b.1 - a.1).abs());
        if size.0 == 0.0 || size.1 == 0.0 {
            return Err(place.problem(format!("a rectangle of {}×{} pixels", size.0, size.1), DEGENERATE));
        }
        if angle == 0.0 {
            return Region::polygon(place, vec![a, (b.0, a.1), b, (a.0, b.1)]);
        }
        let center = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
        let (sin, cos) = angle.sin_cos();
        let turned = |(x, y): Corner| {
            let (dx, dy) = (x - center.0, y - center.1);
            (center.0 + cos * dx - sin * dy, center.1 + sin * dx + cos * dy)
        };
        Region::polygon(place, [a, (b.0, a.1), b, (a.0, b.1)].map(turned).into())
    }

    /// An ellipse.
    ///
    /// # Errors
    /// If a radius is not above 0.
    pub(super) fn ellipse(place: &Place<'_>, center: Corner, radii: (f64, f64), angle: f64) -> Result<Self, Problem> {
        let is_number = [center.0, center.1, radii.0, radii.1, angle].iter().all(|v| v.is_finite());
        if !is_number || radii.0 <= 0.0 || radii.1 <= 0.0 {
            return Err(place.problem(format!("an ellipse of radii {} and {}", radii.0, radii.1), DEGENERATE));
        }
        Ok(Region::Ellipse { center, radii, angle })
    }
}

const DEGENERATE: &str = "correct the shape or delete it";

/// A closed outline: the corners without a repetition of the first at the end.
///
/// # Errors
/// Fewer than three corners, or one that is not finite.
pub(super) fn ring(place: &Place<'_>, mut corners: Vec<Corner>) -> Result<Vec<Corner>, Problem> {
    if corners.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return Err(place.incomplete("corners"));
    }
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    if corners.len() < 3 {
        let corners = match corners.len() {
            1 => "1 corner".into(),
            count => format!("{count} corners"),
        };
        return Err(place.problem(format!("a polygon of {corners}"), DEGENERATE));
    }
    Ok(corners)
}
