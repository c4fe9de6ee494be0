//! The pixels that a region covers.

use super::shape::Region;
use crate::decode::decode_mask;
use crate::rasterize::{Corner, Outline, for_each_span};
use std::path::Path;

/// Distance in pixels by which any region may reach out of its image; what is outside is cut off.
const OVERSHOOT: f64 = 8.0;
/// Smallest part of the box around a region that reaches out farther which must lie inside of the image.
const INSIDE: f64 = 0.5;

/// Why a region has no pixels: in words for many images, and in full.
pub(super) type NoPixels = (&'static str, String);

/// A rectangle of pixels inside an image.
#[derive(Debug)]
pub(super) struct Coverage {
    left: usize,
    top: usize,
    width: usize,
    /// Whether each pixel is covered, row by row.
    bits: Vec<bool>,
}

impl Coverage {
    /// The pixels of `region` in an image of `size` = (width, height).
    ///
    /// # Errors
    /// What is wrong: the region reaches far out of the image, has no area, or cannot be decoded.
    pub(super) fn of(region: &Region, size: (usize, usize)) -> Result<Self, NoPixels> {
        let (low, high) = bounds(region);
        let far = |v: f64, length: usize| !(-OVERSHOOT..=length as f64 + OVERSHOOT).contains(&v);
        let inside = part_inside((low.0, high.0), size.0) * part_inside((low.1, high.1), size.1);
        if let Some((x, y)) = [low, high].into_iter().find(|(x, y)| far(*x, size.0) || far(*y, size.1))
            && inside < INSIDE
        {
            let (x, y, (width, height)) = (in_short(x), in_short(y), size);
            let text = format!("reaches to ({x}, {y}), far outside of the image, which is {width}×{height}");
            return Err(("a shape that reaches far outside of the image", text));
        }
        let clip = |v: f64, length: usize| (v.max(0.0) as usize).min(length);
        let (left, top) = (clip(low.0.floor(), size.0), clip(low.1.floor(), size.1));
        let (right, bottom) = (clip(high.0.ceil(), size.0), clip(high.1.ceil(), size.1));
        let width = right - left;
        let mut coverage = Coverage { left, top, width, bits: vec![false; width * (bottom - top)] };
        coverage.fill(region, size)?;
        Ok(coverage)
    }

    fn fill(&mut self, region: &Region, size: (usize, usize)) -> Result<(), NoPixels> {
        match region {
            Region::Polygons(polygons) => {
                for polygon in polygons {
                    // The pixel in column x has its centre at x + 1/2.
                    let rings: Vec<Vec<Corner>> =
                        polygon.iter().map(|ring| ring.iter().map(|(x, y)| (x - 0.5, y - 0.5)).collect()).collect();
                    let rings: Vec<&[Corner]> = rings.iter().map(Vec::as_slice).collect();
                    for_each_span(&rings, size, Outline::HalfOpen, &mut |row, from, to| {
                        for column in from..=to {
                            self.set(column, row);
                        }
                    });
                }
            }
            Region::Ellipse { center, radii, angle } => {
                let (sin, cos) = angle.sin_cos();
                for i in 0..self.bits.len() {
                    let (column, row) = self.at(i);
                    let (dx, dy) = (column as f64 + 0.5 - center.0, row as f64 + 0.5 - center.1);
                    let (along, across) = ((cos * dx + sin * dy) / radii.0, (cos * dy - sin * dx) / radii.1);
                    self.bits[i] = along * along + across * across < 1.0;
                }
            }
            Region::Runs(runs) => {
                for (from, to) in runs.inside() {
                    for i in from..to {
                        let (column, row) = match runs.by_column {
                            true => (i / runs.size.1, i % runs.size.1),
                            false => (i % runs.size.0, i / runs.size.0),
                        };
                        self.set_signed(column as i64 + runs.left, row as i64 + runs.top);
                    }
                }
            }
            Region::Png { left, top, size: (width, height), bytes } => {
                // Bytes 16 to 23 of a png are its width and height: checked before memory is allocated.
                let stated = bytes.get(16..24).map(|b| b.iter().fold(0u64, |sum, &b| sum << 8 | u64::from(b)));
                if stated != Some((*width as u64) << 32 | *height as u64) {
                    let text = format!("its `mask` is no png of {width}×{height}, the size that its points give");
                    return Err(("a `mask` that is no png of the size that its points give", text));
                }
                let mask = decode_mask(Path::new("mask"), bytes, None);
                let mask = mask.map_err(|error| ("a `mask` that cannot be read", error.to_string()))?;
                for (i, _) in mask.labels.iter().enumerate().filter(|(_, value)| **value != 0) {
                    self.set_signed((i % width) as i64 + left, (i / width) as i64 + top);
                }
            }
            Region::NoArea(kind) => return Err(("a shape without area", format!("a {kind} has no area"))),
        }
        Ok(())
    }

    fn at(&self, i: usize) -> (usize, usize) {
        (self.left + i % self.width, self.top + i / self.width)
    }

    fn set(&mut self, column: usize, row: usize) {
        if column < self.left || column >= self.left + self.width || row < self.top {
            return;
        }
        if let Some(bit) = self.bits.get_mut((row - self.top) * self.width + column - self.left) {
            *bit = true;
        }
    }

    fn set_signed(&mut self, column: i64, row: i64) {
        if let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) {
            self.set(column, row);
        }
    }

    /// Number of pixels.
    pub(super) fn area(&self) -> usize {
        self.bits.iter().filter(|bit| **bit).count()
    }

    /// (column, row) of each pixel.
    pub(super) fn pixels(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.bits.iter().enumerate().filter(|(_, bit)| **bit).map(|(i, _)| self.at(i))
    }
}

/// Which part of the interval from `low` to `high` lies between 0 and `length`.
fn part_inside((low, high): (f64, f64), length: usize) -> f64 {
    let inside = high.min(length as f64) - low.max(0.0);
    if high > low { inside.max(0.0) / (high - low) } else { f64::from(u8::from(inside >= 0.0)) }
}

/// A coordinate for a message.
fn in_short(coordinate: f64) -> String {
    if coordinate.abs() < 1e12 { coordinate.to_string() } else { format!("{coordinate:e}") }
}

/// Whether a region is drawn by coordinates, all of which lie between 0 and 1.
pub(super) fn is_in_unit_square(region: &Region) -> bool {
    let (low, high) = bounds(region);
    matches!(region, Region::Polygons(_) | Region::Ellipse { .. })
        && [low, high].iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y))
}

/// Lowest and highest x and y of a region.
fn bounds(region: &Region) -> (Corner, Corner) {
    let rectangle = |left: i64, top: i64, size: (usize, usize)| {
        ((left as f64, top as f64), (left as f64 + size.0 as f64, top as f64 + size.1 as f64))
    };
    match region {
        Region::Polygons(polygons) => {
            let corners = polygons.iter().flatten().flatten();
            let infinite = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
            corners.fold(infinite, |(low, high), (x, y)| {
                ((low.0.min(*x), low.1.min(*y)), (high.0.max(*x), high.1.max(*y)))
            })
        }
        Region::Ellipse { center, radii, angle } => {
            let (sin, cos) = angle.sin_cos();
            let reach = ((radii.0 * cos).hypot(radii.1 * sin), (radii.0 * sin).hypot(radii.1 * cos));
            ((center.0 - reach.0, center.1 - reach.1), (center.0 + reach.0, center.1 + reach.1))
        }
        Region::Runs(runs) => rectangle(runs.left, runs.top, runs.size),
        Region::Png { left, top, size, .. } => rectangle(*left, *top, *size),
        Region::NoArea(_) => ((0.0, 0.0), (0.0, 0.0)),
    }
}
