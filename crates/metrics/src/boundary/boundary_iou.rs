//! Boundary IoU (Cheng et al. 2021, *Boundary IoU: Improving Object-Centric Image Segmentation Evaluation*).

use super::BoundaryDistance;
use super::known::{Known, mean};
use crate::Overlap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Boundary IoU over some images, pooled over their pixels as the IoU is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundaryScores {
    /// The distance from a border within which pixels count.
    pub distance: BoundaryDistance,
    /// Mean over the classes; `None` if no class has a boundary.
    pub miou: Option<f64>,
    /// By class; `None` for a class in neither truth nor prediction.
    pub iou: Vec<Option<f64>>,
}

/// Adds up the boundaries of truth and prediction, image by image.
///
/// The boundary of a mask are its pixels within the distance of its border, by the larger of the distances across and down, as the
/// authors' public code has it (`mask_to_boundary`, an erosion by a square). The edge of the image is a border.
#[derive(Clone, Debug)]
pub struct BoundaryMeter {
    ignore: Option<u8>,
    distance: BoundaryDistance,
    overlaps: Vec<Overlap>,
}

impl BoundaryMeter {
    /// Nothing measured yet, for `classes` classes. Pixels whose true label is `ignore` are as outside the image.
    pub fn new(classes: usize, ignore: Option<u8>, distance: BoundaryDistance) -> Self {
        BoundaryMeter { ignore, distance, overlaps: vec![Overlap::default(); classes] }
    }

    /// Adds an image: labels `[height, width]` of truth and prediction, `width` pixels wide.
    pub fn add(&mut self, truth: &[u8], prediction: &[u8], width: usize) {
        if width == 0 {
            return;
        }
        let distance = self.distance.pixels(width, truth.len() / width);
        let known = Known { truth, prediction, ignore: self.ignore };
        self.overlaps.par_iter_mut().enumerate().for_each(|(class, overlap)| {
            let Some(masks) = known.masks(class as u8) else { return };
            let [truth, prediction] = masks.map(|mask| boundary(mask, width, distance));
            for (truth, prediction) in truth.into_iter().zip(prediction) {
                overlap.both += u64::from(truth && prediction);
                overlap.either += u64::from(truth || prediction);
            }
        });
    }

    /// The scores; the mean leaves out the classes `ignored`.
    pub fn finish(self, ignored: &[u8]) -> BoundaryScores {
        let iou = |overlap: &Overlap| (overlap.either > 0).then(|| overlap.both as f64 / overlap.either as f64);
        let iou: Vec<Option<f64>> = self.overlaps.iter().map(iou).collect();
        BoundaryScores { distance: self.distance, miou: mean(&iou, ignored), iou }
    }
}

/// The pixels of `mask` within `distance` of a pixel outside of it. Two passes, whatever the distance: a pixel is inside if the run
/// of ones that ends `distance` pixels behind it is long enough, across and then down.
fn boundary(mut mask: Vec<bool>, width: usize, distance: usize) -> Vec<bool> {
    let height = mask.len() / width;
    let whole = 2 * distance + 1;
    let mut across = vec![false; mask.len()];
    for (row, inside) in mask.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        let mut run = 0;
        for (x, &pixel) in row.iter().enumerate() {
            run = if pixel { run + 1 } else { 0 };
            if run >= whole {
                inside[x - distance] = true;
            }
        }
    }
    let mut runs = vec![0usize; width];
    for y in 0..height {
        for x in 0..width {
            runs[x] = if across[y * width + x] { runs[x] + 1 } else { 0 };
            if runs[x] >= whole {
                mask[(y - distance) * width + x] = false;
            }
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(rows: &[&str]) -> Vec<u8> {
        rows.iter().flat_map(|row| row.bytes().map(|byte| byte - b'0')).collect()
    }

    #[test]
    fn a_square_has_a_ring_as_boundary() {
        let square = picture(&["000000", "011111", "011111", "011111", "011111", "011111"]);
        let mask = square.iter().map(|&label| label == 1).collect();
        let shown: String = boundary(mask, 6, 1).into_iter().map(|pixel| if pixel { '#' } else { '.' }).collect();
        // The image's edge is a border, too.
        assert_eq!(
            shown,
            "......\
                           .#####\
                           .#...#\
                           .#...#\
                           .#...#\
                           .#####"
        );
    }

    #[test]
    fn images_are_pooled_and_a_class_that_is_nowhere_has_no_score() {
        let distance = BoundaryDistance::try_from(1.0).unwrap();
        let mut meter = BoundaryMeter::new(3, None, distance);
        meter.add(&[0, 0, 1, 1], &[0, 1, 1, 1], 2);
        meter.add(&[0, 0], &[0, 0], 2);
        // Such small images are all boundary: the IoU itself, (1 + 2) / (2 + 2) and 2 / 3.
        let scores = meter.finish(&[]);
        assert_eq!(scores.iou, [Some(0.75), Some(2.0 / 3.0), None]);
        assert_eq!(scores.miou, Some((0.75 + 2.0 / 3.0) / 2.0));
        assert_eq!(BoundaryMeter::new(2, None, distance).finish(&[]).miou, None);
    }
}
