//! Grains: a Voronoi diagram of jittered points, with slightly curved boundaries.

use super::field::Field;
use matssl_base::random::Stream;

/// A point of the plane, relative to the grains.
pub(super) struct GrainPoint {
    /// Index of the grain that contains the point, below [`Grains::len`].
    pub(super) grain: usize,
    /// Distance to the nearest grain boundary in pixels.
    pub(super) to_boundary: f64,
}

/// The grains of an image.
pub(super) struct Grains {
    /// A centre in most cells of a square lattice, which extends two cells beyond the image. Empty cells give grains of
    /// different sizes.
    centres: Vec<Option<(f64, f64)>>,
    across: usize,
    spacing: f64,
    warp: [Field; 2],
}

impl Grains {
    /// Grains of about `diameter` pixels over `size` × `size` pixels.
    pub(super) fn new(size: usize, diameter: f64, stream: &mut Stream) -> Self {
        let spacing = 0.86 * diameter;
        let across = (size as f64 / spacing).ceil() as usize + 4;
        let centres = (0..across * across)
            .map(|cell| {
                let mut jitter = |i: usize| (i as f64 - 2.0 + stream.uniform()) * spacing;
                let centre = (jitter(cell % across), jitter(cell / across));
                stream.chance(0.74).then_some(centre)
            })
            .collect();
        let mut field = || Field::new(size, diameter / 2.5, stream);
        let warp = [field(), field()];
        Grains { centres, across, spacing, warp }
    }

    /// Largest possible number of grains: a bound for [`GrainPoint::grain`].
    pub(super) fn len(&self) -> usize {
        self.centres.len()
    }

    /// The grains with their centres; some lie outside the image.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, (f64, f64))> {
        self.centres.iter().enumerate().filter_map(|(grain, centre)| Some((grain, (*centre)?)))
    }

    /// The grain at a point.
    pub(super) fn at(&self, x: f64, y: f64) -> GrainPoint {
        let bend = 0.05 * self.spacing;
        let (x, y) = (x + bend * self.warp[0].at(x, y), y + bend * self.warp[1].at(x, y));
        let cell = |v: f64| ((v / self.spacing).floor() as isize + 2).clamp(2, self.across as isize - 3) as usize;
        let (i, j) = (cell(x), cell(y));
        let near: [(usize, Option<(f64, f64)>); 25] = std::array::from_fn(|k| {
            let cell = (j + k / 5 - 2) * self.across + i + k % 5 - 2;
            (cell, self.centres[cell])
        });
        let near = near.iter().filter_map(|&(cell, centre)| {
            let (cx, cy) = centre?;
            Some((cell, (cx, cy), (cx - x).powi(2) + (cy - y).powi(2)))
        });
        let first = near.clone().min_by(|a, b| a.2.total_cmp(&b.2));
        // 25 empty cells practically never occur; then grain 0 is taken.
        let (nearest, (ax, ay), best) = first.unwrap_or((0, (x, y), 0.0));
        let others = near.filter(|(cell, ..)| *cell != nearest);
        // Distance to the perpendicular bisector of the two centres.
        let bisector = |(_, (bx, by), distance): (usize, (f64, f64), f64)| {
            let apart = ((ax - bx).powi(2) + (ay - by).powi(2)).sqrt().max(1e-9);
            (distance - best) / (2.0 * apart)
        };
        let to_boundary = others.map(bisector).fold(f64::INFINITY, f64::min);
        GrainPoint { grain: nearest, to_boundary }
    }
}
