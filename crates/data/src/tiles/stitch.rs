//! One map of probabilities from those of overlapping tiles, without seams, in bounded memory.

use super::Tiling;

/// Adds up the class probabilities of tiles, weighted by a smooth window, so that no seam is visible. Of the image it holds
/// only the rows of the current tiles.
pub struct Stitch<'a> {
    tiling: &'a Tiling,
    classes: usize,
    /// sin² over a tile's side, positive everywhere.
    window: Vec<f32>,
    /// Number of tiles added.
    added: usize,
    /// The image's row that is the first one held. As many rows as a tile has are held, or the whole image.
    top: usize,
    /// `[rows, width, classes]`.
    sums: Vec<f32>,
    /// `[rows, width]`.
    weights: Vec<f32>,
}

/// Finished rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Stitched {
    /// The first of them.
    pub top: usize,
    /// Their number.
    pub rows: usize,
    /// Mean probabilities `[rows, width, classes]`.
    pub probabilities: Vec<f32>,
    /// The most probable class of each pixel; the first of equally probable ones. `[rows, width]`.
    pub labels: Vec<u8>,
}

impl<'a> Stitch<'a> {
    /// Sums of zero tiles.
    pub fn new(tiling: &'a Tiling, classes: usize) -> Self {
        let pixels = tiling.width * tiling.height.min(tiling.tile);
        let phase = |i: usize| std::f32::consts::PI * (i as f32 + 0.5) / tiling.tile as f32;
        let window = (0..tiling.tile).map(|i| phase(i).sin().powi(2)).collect();
        let (sums, weights) = (vec![0.0; pixels * classes], vec![0.0; pixels]);
        Stitch { tiling, classes, window, added: 0, top: 0, sums, weights }
    }

    /// Adds the next tile: probabilities `[tile, tile, classes]`. So sums are always taken in the order of the tiles.
    ///
    /// # Panics
    /// If all tiles were added, or [`finished`](Self::finished) rows were not taken.
    pub fn add(&mut self, probabilities: &[f32]) {
        let (left, top) = self.tiling.corners[self.added];
        let (tile, classes, width) = (self.tiling.tile, self.classes, self.tiling.width);
        assert!(self.finished() == 0, "rows that were not taken");
        let columns = tile.min(width - left);
        for y in 0..tile.min(self.tiling.height - top) {
            let to = (top - self.top + y) * width + left;
            let weights = self.weights[to..to + columns].iter_mut();
            let sums = self.sums[to * classes..(to + columns) * classes].chunks_exact_mut(classes);
            let from = probabilities[y * tile * classes..].chunks_exact(classes);
            for (x, ((sums, from), sum_of_weights)) in sums.zip(from).zip(weights).enumerate() {
                let weight = self.window[y] * self.window[x];
                *sum_of_weights += weight;
                for (sum, p) in sums.iter_mut().zip(from) {
                    *sum += weight * p;
                }
            }
        }
        self.added += 1;
    }

    /// Number of rows that no later tile touches and that were not taken.
    pub fn finished(&self) -> usize {
        let bottom = self.tiling.corners.get(self.added).map_or(self.tiling.height, |&(_, top)| top);
        bottom - self.top
    }

    /// Number of tiles that were added.
    pub fn added(&self) -> usize {
        self.added
    }

    /// Takes the next finished rows, `most` at most.
    pub fn take(&mut self, most: usize) -> Stitched {
        let (rows, width, classes) = (self.finished().min(most), self.tiling.width, self.classes);
        let pixels = rows * width;
        let labels = self.sums[..pixels * classes].chunks_exact(classes).map(most_probable).collect();
        let mut probabilities = self.sums[..pixels * classes].to_vec();
        for (sums, weight) in probabilities.chunks_exact_mut(classes).zip(&self.weights) {
            sums.iter_mut().for_each(|sum| *sum /= weight);
        }
        shift(&mut self.sums, pixels * classes);
        shift(&mut self.weights, pixels);
        self.top += rows;
        Stitched { top: self.top - rows, rows, probabilities, labels }
    }
}

/// Drops the first `count` values, and puts as many zeros at the end.
fn shift(values: &mut [f32], count: usize) {
    values.copy_within(count.., 0);
    let kept = values.len() - count;
    values[kept..].fill(0.0);
}

/// The class of the largest value; the first of equal ones.
fn most_probable(values: &[f32]) -> u8 {
    (1..values.len()).fold(0, |best, class| if values[class] > values[best] { class } else { best }) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::reflect;
    use proptest::prelude::*;

    /// All rows, taken `most` at a time.
    fn collect(tiling: &Tiling, classes: usize, most: usize, tile: impl Fn(usize) -> Vec<f32>) -> Stitched {
        let mut stitch = Stitch::new(tiling, classes);
        let mut all = Stitched { top: 0, rows: 0, probabilities: Vec::new(), labels: Vec::new() };
        for i in 0..tiling.corners.len() {
            stitch.add(&tile(i));
            while stitch.finished() > 0 {
                let Stitched { top, rows, probabilities, labels } = stitch.take(most);
                assert_eq!(top, all.rows);
                assert_eq!(probabilities.len(), rows * tiling.width * classes);
                all.rows += rows;
                all.probabilities.extend(probabilities);
                all.labels.extend(labels);
            }
        }
        all
    }

    /// The sums of the whole image at once: what the bands must be, bit for bit.
    fn reference(tiling: &Tiling, classes: usize, tile: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
        let window = |i: usize| (std::f32::consts::PI * (i as f32 + 0.5) / tiling.tile as f32).sin().powi(2);
        let mut sums = vec![0.0; tiling.width * tiling.height * classes];
        let mut weights = vec![0.0; tiling.width * tiling.height];
        for (i, &(left, top)) in tiling.corners.iter().enumerate() {
            let values = tile(i);
            for y in 0..tiling.tile.min(tiling.height - top) {
                for x in 0..tiling.tile.min(tiling.width - left) {
                    let (weight, to) = (window(y) * window(x), (top + y) * tiling.width + left + x);
                    weights[to] += weight;
                    for c in 0..classes {
                        sums[to * classes + c] += weight * values[(y * tiling.tile + x) * classes + c];
                    }
                }
            }
        }
        sums.iter().enumerate().map(|(i, sum)| sum / weights[i / classes]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_pixel_is_covered_and_constant_tiles_stitch_to_a_constant(
            width in 1usize..70, height in 1usize..70, tile in 1usize..40, overlap in 0.0f64..0.9, most in 1usize..80,
        ) {
            let tiling = Tiling::new(width, height, tile, overlap);
            let constant: Vec<f32> = (0..tile * tile).flat_map(|_| [0.25, 0.75]).collect();
            let found = collect(&tiling, 2, most, |_| constant.clone());
            prop_assert_eq!((found.rows, found.probabilities.len()), (height, 2 * width * height));
            for pair in found.probabilities.as_chunks::<2>().0 {
                prop_assert!((pair[0] - 0.25).abs() < 1e-5 && (pair[1] - 0.75).abs() < 1e-5);
            }
        }

        #[test]
        fn bands_are_the_whole_image_bit_for_bit(
            width in 1usize..50, height in 1usize..50, tile in 1usize..30, overlap in 0.0f64..0.9, most in 1usize..40,
        ) {
            let tiling = Tiling::new(width, height, tile, overlap);
            let values = |i: usize| -> Vec<f32> {
                let mut stream = matssl_base::random::Stream::new(1, "tile", 0, i as u64);
                (0..tile * tile * 3).map(|_| stream.next_u32() as f32 / 4e9).collect()
            };
            prop_assert_eq!(collect(&tiling, 3, most, values).probabilities, reference(&tiling, 3, values));
        }

        #[test]
        fn tiles_cut_from_a_label_map_stitch_to_it(
            width in 1usize..50, height in 1usize..50, tile in 1usize..30, overlap in 0.0f64..0.9,
        ) {
            let truth: Vec<u8> = (0..width * height).map(|i| (i * 7 % 3) as u8).collect();
            let tiling = Tiling::new(width, height, tile, overlap);
            let one_hot = |i: usize| -> Vec<f32> {
                let (left, top) = tiling.corners[i];
                (0..tile * tile * 3).map(|j| {
                    let (x, y) = (left + j / 3 % tile, top + j / 3 / tile);
                    let label = truth[reflect(y, height) * width + reflect(x, width)];
                    f32::from(usize::from(label) == j % 3)
                }).collect()
            };
            prop_assert_eq!(collect(&tiling, 3, usize::MAX, one_hot).labels, truth);
        }
    }
}
