//! Grains: a Voronoi diagram of jittered points, with slightly curved boundaries.

use super::noise::Field;
use crate::random::Stream;

/// What a point of the plane belongs to.
pub(super) struct Place {
    /// The grain, an index into what [`Grains::len`] counts.
    pub(super) grain: usize,
    /// Distance to the nearest grain boundary in pixels.
    pub(super) to_boundary: f64,
}

pub(super) struct Grains {
    /// Centres on a square lattice of `across` × `across` cells, one ring of them outside the image.
    centres: Vec<(f64, f64)>,
    across: usize,
    spacing: f64,
    warp: [Field; 2],
}

impl Grains {
    /// Grains of about `diameter` pixels over `size` × `size` pixels.
    pub(super) fn new(size: usize, diameter: f64, stream: &mut Stream) -> Self {
        let across = (size as f64 / diameter).ceil() as usize + 4;
        let centres = (0..across * across)
            .map(|cell| {
                let mut jitter = |i: usize| (i as f64 - 2.0 + stream.uniform()) * diameter;
                (jitter(cell % across), jitter(cell / across))
            })
            .collect();
        let mut field = || Field::new(size, diameter / 2.5, stream);
        let warp = [field(), field()];
        Grains { centres, across, spacing: diameter, warp }
    }

    /// How many grains there are, those outside the image among them.
    pub(super) fn len(&self) -> usize {
        self.centres.len()
    }

    /// The middle of a grain.
    pub(super) fn centre(&self, grain: usize) -> (f64, f64) {
        self.centres[grain]
    }

    /// Where a point lies.
    pub(super) fn at(&self, x: f64, y: f64) -> Place {
        let bend = 0.05 * self.spacing;
        let (x, y) = (x + bend * self.warp[0].at(x, y), y + bend * self.warp[1].at(x, y));
        let cell = |v: f64| ((v / self.spacing).floor() as isize + 2).clamp(2, self.across as isize - 3) as usize;
        let (i, j) = (cell(x), cell(y));
        let (mut nearest, mut best) = (0, f64::INFINITY);
        let near = |visit: &mut dyn FnMut(usize, f64)| {
            for row in j - 2..=j + 2 {
                for cell in row * self.across + i - 2..=row * self.across + i + 2 {
                    let (cx, cy) = self.centres[cell];
                    visit(cell, (cx - x).powi(2) + (cy - y).powi(2));
                }
            }
        };
        near(&mut |cell, distance| {
            if distance < best {
                (nearest, best) = (cell, distance);
            }
        });
        let (ax, ay) = self.centres[nearest];
        let mut to_boundary = f64::INFINITY;
        near(&mut |cell, distance| {
            if cell != nearest {
                // Distance to the perpendicular bisector of the two centres.
                let (bx, by) = self.centres[cell];
                let apart = (ax - bx).hypot(ay - by).max(1e-9);
                to_boundary = to_boundary.min((distance - best) / (2.0 * apart));
            }
        });
        Place { grain: nearest, to_boundary }
    }
}
