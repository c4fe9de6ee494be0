//! Scaling, rotation and elastic deformation of an image and its mask.

use matssl_base::random::Stream;
use std::f64::consts::PI;

/// Side of the grid of random displacements, as in U-Net (Ronneberger et al. 2015, §3.1).
const GRID: usize = 3;

/// Where the pixels of a crop come from: a similarity about its centre, and smooth displacements.
pub(super) struct Warp {
    centre: [f64; 2],
    size: [f64; 2],
    /// Rows of the matrix.
    matrix: [[f64; 2]; 2],
    /// Displacements at the points of a grid over the crop, in pixels: `[row][column]`.
    grid: Option<[[[f64; 2]; GRID]; GRID]>,
}

/// How strong a warp may be.
#[derive(Clone, Copy)]
pub(super) struct WarpStrength {
    /// Bounds of the factor by which things become larger, drawn log-uniformly.
    pub(super) scale: [f64; 2],
    /// Largest angle in degrees.
    pub(super) rotation: f64,
    /// Standard deviation of the displacements in pixels.
    pub(super) elastic: f64,
    /// Probability of each of the three.
    pub(super) probability: f64,
}

impl Warp {
    /// Draws a warp of a crop of `width` × `height`; `None` if nothing was drawn.
    pub(super) fn draw(strength: WarpStrength, (width, height): (usize, usize), stream: &mut Stream) -> Option<Self> {
        let WarpStrength { scale: [least, most], rotation, elastic, probability } = strength;
        let mut chance = |of: bool| of && stream.chance(probability);
        let (scaled, turned, bent) =
            (chance([least, most] != [1.0, 1.0]), chance(rotation > 0.0), chance(elastic > 0.0));
        let scale = if scaled { stream.range(least.ln(), most.ln()).exp() } else { 1.0 };
        let angle = if turned { stream.range(-rotation, rotation) * PI / 180.0 } else { 0.0 };
        let grid = bent.then(|| {
            let mut point = || [elastic * stream.normal(), elastic * stream.normal()];
            std::array::from_fn(|_| std::array::from_fn(|_| point()))
        });
        let (sine, cosine) = angle.sin_cos();
        // From the output to the input: things that become larger are read in smaller steps.
        let matrix = [[cosine / scale, sine / scale], [-sine / scale, cosine / scale]];
        let size = [width as f64, height as f64];
        (scaled || turned || bent).then_some(Warp {
            centre: size.map(|length| (length - 1.0) / 2.0),
            size,
            matrix,
            grid,
        })
    }

    /// The point (column, row) of the crop, in pixels, that is seen at the pixel (`x`, `y`).
    pub(super) fn source(&self, x: usize, y: usize) -> [f64; 2] {
        let place = [x as f64, y as f64];
        let [across, down] = [0, 1].map(|axis| place[axis] - self.centre[axis]);
        let displaced = self.displacement(place);
        [0, 1].map(|axis| {
            let [a, b] = self.matrix[axis];
            self.centre[axis] + a * across + b * down + displaced[axis]
        })
    }

    /// The displacement at `place`: bicubic between the points of the grid, whose outermost ones are repeated.
    fn displacement(&self, place: [f64; 2]) -> [f64; 2] {
        let Some(grid) = &self.grid else { return [0.0; 2] };
        let along = [0, 1].map(|axis| {
            let at = (place[axis] / (self.size[axis] - 1.0).max(1.0)).clamp(0.0, 1.0) * (GRID - 1) as f64;
            let first = (at.floor() as usize).min(GRID - 2);
            (first, catmull_rom(at - first as f64))
        });
        let [(column, by_column), (row, by_row)] = along;
        let point = |index: usize, offset: usize| (index + offset).saturating_sub(1).min(GRID - 1);
        let mut sum = [0.0; 2];
        for (i, row_weight) in by_row.into_iter().enumerate() {
            for (j, column_weight) in by_column.into_iter().enumerate() {
                let value = grid[point(row, i)][point(column, j)];
                (0..2).for_each(|axis| sum[axis] += row_weight * column_weight * value[axis]);
            }
        }
        sum
    }
}

/// The weights of four neighbours at `t` from 0 to 1 between the middle two.
fn catmull_rom(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [(-t3 + 2.0 * t2 - t) / 2.0, (3.0 * t3 - 5.0 * t2 + 2.0) / 2.0, (-3.0 * t3 + 4.0 * t2 + t) / 2.0, (t3 - t2) / 2.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: WarpStrength = WarpStrength { scale: [1.0, 1.0], rotation: 0.0, elastic: 0.0, probability: 1.0 };

    fn stream(index: u64) -> Stream {
        Stream::new(0, "warp", 0, index)
    }

    #[test]
    fn nothing_is_drawn_for_nothing() {
        assert!(Warp::draw(STILL, (9, 9), &mut stream(0)).is_none());
        let never = WarpStrength { scale: [0.5, 2.0], probability: 0.0, ..STILL };
        assert!(Warp::draw(never, (9, 9), &mut stream(0)).is_none());
    }

    #[test]
    fn a_fixed_scale_reads_smaller_steps_about_the_centre() {
        let warp = Warp::draw(WarpStrength { scale: [2.0, 2.0], ..STILL }, (9, 5), &mut stream(1)).unwrap();
        assert_eq!(warp.source(4, 2), [4.0, 2.0]);
        let close =
            |found: [f64; 2], expected: [f64; 2]| (0..2).all(|axis| (found[axis] - expected[axis]).abs() < 1e-12);
        assert!(close(warp.source(0, 0), [2.0, 1.0]) && close(warp.source(8, 4), [6.0, 3.0]));
    }

    #[test]
    fn a_rotation_keeps_distances_and_its_angle_is_bounded() {
        for index in 0..32 {
            let warp = Warp::draw(WarpStrength { rotation: 30.0, ..STILL }, (11, 11), &mut stream(index)).unwrap();
            let [x, y] = warp.source(10, 5);
            let (across, down) = (x - 5.0, y - 5.0);
            assert!((across.hypot(down) - 5.0).abs() < 1e-12);
            assert!(down.atan2(across).to_degrees().abs() <= 30.0 + 1e-9);
        }
    }

    #[test]
    fn displacements_pass_through_the_grid() {
        let warp = Warp::draw(WarpStrength { elastic: 3.0, ..STILL }, (17, 9), &mut stream(3)).unwrap();
        let grid = warp.grid.unwrap();
        for (row, y) in [0, 4, 8].into_iter().enumerate() {
            for (column, x) in [0, 8, 16].into_iter().enumerate() {
                let [found_x, found_y] = warp.source(x, y);
                let [dx, dy] = grid[row][column];
                assert!((found_x - x as f64 - dx).abs() < 1e-9 && (found_y - y as f64 - dy).abs() < 1e-9);
            }
        }
        for i in 0..=10 {
            assert!((catmull_rom(f64::from(i) / 10.0).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
