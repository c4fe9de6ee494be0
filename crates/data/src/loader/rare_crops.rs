//! Crops that hold a pixel of a rare class.

use crate::augment::Target;
use crate::{IGNORE, Mask, Micrograph};
use matssl_base::random::Stream;

/// Which crops hold a pixel of a rare class, and which pixel.
///
/// Each crop is chosen with the probability `share`, by a stream of its own: the others are as without. The class is drawn among
/// those of the image with a probability in proportion to 1 / its pixels in all images, the pixel uniformly among those of the class.
/// (nnU-Net, Isensee et al. 2021, takes a third of its patches so, with equal probabilities of the classes.)
#[derive(Clone, Debug)]
pub struct RareCrops {
    share: f64,
    /// By class; 0 if the class is not looked for.
    weights: Vec<f64>,
    /// By image and class: the number of pixels in the first rows, for each row with that row.
    rows: Vec<Vec<Vec<u32>>>,
}

impl RareCrops {
    /// For crops of `samples`, whose masks have labels below `classes`. Classes in `without` are not looked for.
    pub fn new(share: f64, samples: &[(Micrograph, Mask)], classes: usize, without: &[u8]) -> Self {
        let rows: Vec<_> = samples.iter().map(|(_, mask)| rows(mask, classes)).collect();
        let weight = |class: usize| {
            let pixels: u64 = rows.iter().map(|image| u64::from(total(&image[class]))).sum();
            let is_sought = pixels > 0 && !without.iter().any(|other| usize::from(*other) == class);
            if is_sought { 1.0 / pixels as f64 } else { 0.0 }
        };
        RareCrops { share, weights: (0..classes).map(weight).collect(), rows }
    }

    /// What the crop of sample `index` in `epoch` has to hold, if anything.
    pub(super) fn target(&self, mask: &Mask, seed: u64, epoch: u64, index: usize) -> Option<Target> {
        let mut stream = Stream::new(seed, "rare crops", epoch, index as u64);
        let rows = self.rows.get(index).filter(|_| stream.chance(self.share))?;
        let sought = || rows.iter().zip(&self.weights).enumerate().filter(|(_, (rows, _))| total(rows) > 0);
        let mut left = stream.uniform() * sought().map(|(_, (_, weight))| weight).sum::<f64>();
        let mut chosen = None;
        for (class, (_, weight)) in sought().filter(|(_, (_, weight))| **weight > 0.0) {
            chosen = Some(class);
            if left < *weight {
                break;
            }
            left -= weight;
        }
        let class = chosen?;
        let number = stream.below(u64::from(total(&rows[class]))) as u32;
        let row = rows[class].partition_point(|&pixels| pixels <= number);
        let before = row.checked_sub(1).map_or(0, |above| rows[class][above]);
        let labels = &mask.labels[row * mask.width..(row + 1) * mask.width];
        let mut columns = (0..mask.width).filter(|&column| usize::from(labels[column]) == class);
        let column = columns.nth((number - before) as usize)?;
        Some(Target { pixel: [column, row], stream })
    }
}

/// Pixels of a class.
fn total(rows: &[u32]) -> u32 {
    rows.last().copied().unwrap_or(0)
}

/// By class, the number of pixels up to each row.
fn rows(mask: &Mask, classes: usize) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::with_capacity(mask.height); classes];
    let mut counts = vec![0; classes];
    for labels in mask.labels.chunks_exact(mask.width.max(1)) {
        for label in labels.iter().filter(|label| **label != IGNORE) {
            if let Some(count) = counts.get_mut(usize::from(*label)) {
                *count += 1;
            }
        }
        rows.iter_mut().zip(&counts).for_each(|(rows, count)| rows.push(*count));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 pixels of class 0, 8 of class 1, 2 of class 2, 6 that are ignored, none of class 3.
    fn sample() -> (Micrograph, Mask) {
        let (width, height) = (8, 7);
        let mut labels = vec![0; width * height];
        labels[8..16].fill(1);
        labels[17] = 2;
        labels[55] = 2;
        labels[32..38].fill(IGNORE);
        (Micrograph { width, height, channels: 1, pixels: vec![0; 56] }, Mask { width, height, labels })
    }

    #[test]
    fn rare_classes_are_drawn_by_inverse_frequency_and_their_pixels_alike() {
        let samples = [sample()];
        let mask = &samples[0].1;
        let rare = RareCrops::new(0.5, &samples, 4, &[]);
        let (mut classes, mut last) = ([0usize; 4], 0);
        for epoch in 0..4000 {
            if let Some(Target { pixel: [x, y], .. }) = rare.target(mask, 7, epoch, 0) {
                classes[usize::from(mask.labels[y * 8 + x])] += 1;
                last += usize::from([x, y] == [7, 6]);
            }
        }
        let all = classes.iter().sum::<usize>();
        assert!((1850..2150).contains(&all), "{all}");
        let expected = [1.0 / 40.0, 1.0 / 8.0, 1.0 / 2.0].map(|weight| weight / 0.65 * all as f64);
        for (count, expected) in classes.iter().zip(expected) {
            assert!((*count as f64 - expected).abs() < 5.0 * expected.sqrt(), "{classes:?} {expected}");
        }
        assert!(classes[3] == 0 && last.abs_diff(classes[2] / 2) < 100, "{classes:?} {last}");
    }

    #[test]
    fn classes_that_do_not_count_are_not_sought() {
        let samples = [sample()];
        let mask = &samples[0].1;
        let found = |share: f64, without: &[u8]| {
            let rare = RareCrops::new(share, &samples, 4, without);
            let targets = (0..200).filter_map(|epoch| rare.target(mask, 7, epoch, 0));
            targets.map(|Target { pixel: [x, y], .. }| mask.labels[y * 8 + x]).collect::<Vec<u8>>()
        };
        assert!(found(1.0, &[2]).iter().all(|class| *class < 2));
        assert_eq!((found(1.0, &[2]).len(), found(0.0, &[]).len()), (200, 0));
        assert!(found(1.0, &[0, 1, 2]).is_empty());
    }
}
