//! Where patches lie in an image.
//!
//! # The paper's Table 1 and the rules for edges
//!
//! The paper gives the size (256), the overlap and the number of patches, but not the rule for edges. The counts below follow
//! from the published image sizes, with the stride 256 · (1 − overlap) rounded down, to the nearest or up (see the tests):
//!
//! | | overlap | paper | `drop` | `shift`, `pad` |
//! | --- | --- | --- | --- | --- |
//! | Aachen, 1,403 images of 1024×768 | 0 | 16,836 | **16,836** | **16,836** |
//! | UHCS, 956 images of 645×484 | 0.6 | 15,296 (16 an image) | 11,472 (12) | 19,120 (20) |
//! | MetalDAM, each image of 1024×703 | 0.7 | | 60 (stride 77) or 66 (76) | 77 or 84 |
//! | MetalDAM, each image of 1280×895 | 0.7 | | 126 | 150 |
//! | MetalDAM, 164 or 178 images of these two sizes | 0.7 | 14,566 | no mixture | no mixture |
//!
//! So every rule gives Aachen's count, and no rule gives the other two. The nearest are: for UHCS 4 × 4, which is `drop`
//! across and `shift` down, or `shift` in the square of 484×484; for MetalDAM `shift` with a stride of 77 in 158 images of
//! 1024×703 and 16 of 1280×895, which would be 174 images (the read-me says 164, the paper 178). With the info band left on
//! (1024×768, 1280×960) no mixture fits either.

use super::params::Edge;

/// Where patches of `size` start along `length` pixels: every `round(size · (1 − overlap))` pixels, at least 1.
///
/// With `Drop` and `Shift` no patch starts beyond `length − size`; with `Shift` the last one starts there. With `Shift` and
/// `Pad` the patches cover every pixel.
pub fn positions(length: usize, size: usize, overlap: f64, edge: Edge) -> Vec<usize> {
    starts(length, size, (size as f64 * (1.0 - overlap)).round() as usize, edge)
}

/// As [`positions`], with the stride in pixels.
fn starts(length: usize, size: usize, stride: usize, edge: Edge) -> Vec<usize> {
    let stride = stride.max(1);
    let Some(last_inside) = length.checked_sub(size) else {
        return if edge == Edge::Drop || length == 0 { Vec::new() } else { vec![0] };
    };
    let mut starts: Vec<usize> = (0..=last_inside).step_by(stride).collect();
    let last = starts.last().copied().unwrap_or(0);
    if last < last_inside {
        match edge {
            Edge::Drop => {}
            Edge::Shift => starts.push(last_inside),
            Edge::Pad => starts.push(last + stride),
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patches_start_where_the_overlap_says() {
        assert_eq!(positions(768, 256, 0.0, Edge::Drop), [0, 256, 512]);
        assert_eq!(positions(700, 256, 0.0, Edge::Drop), [0, 256]);
        assert_eq!(positions(700, 256, 0.0, Edge::Shift), [0, 256, 444]);
        assert_eq!(positions(700, 256, 0.0, Edge::Pad), [0, 256, 512]);
        assert_eq!(positions(500, 256, 0.7, Edge::Drop), [0, 77, 154, 231]);
        assert_eq!(positions(100, 256, 0.5, Edge::Drop), [0; 0]);
        assert_eq!(positions(100, 256, 0.5, Edge::Shift), [0]);
        assert_eq!(positions(100, 256, 0.5, Edge::Pad), [0]);
    }

    const EDGES: [Edge; 3] = [Edge::Drop, Edge::Shift, Edge::Pad];

    /// Patches of 256 in an image of `size` with each way of rounding the stride (down, nearest, up) at each edge rule.
    fn counts((width, height): (usize, usize), overlap: f64) -> Vec<usize> {
        let stride = 256.0 * (1.0 - overlap);
        let count = |stride: f64, edge| {
            starts(width, 256, stride as usize, edge).len() * starts(height, 256, stride as usize, edge).len()
        };
        let roundings = [f64::floor, f64::round, f64::ceil];
        EDGES.iter().flat_map(|&edge| roundings.iter().map(move |rounded| count(rounded(stride), edge))).collect()
    }

    /// The counts of the paper's Table 1, as the module's documentation gives them.
    #[test]
    fn every_rule_gives_the_count_of_aachen_in_table_1_and_no_rule_the_others() {
        assert!(counts((1024, 768), 0.0).iter().all(|patches| 1403 * patches == 16_836));

        let uhcs = counts((645, 484), 0.6);
        assert_eq!(uhcs, [12, 12, 12, 20, 20, 20, 20, 20, 20]);
        assert!(uhcs.iter().all(|patches| 956 * patches != 15_296));
        let stride = 102;
        let nearest = starts(645, 256, stride, Edge::Drop).len() * starts(484, 256, stride, Edge::Shift).len();
        assert_eq!((956 * nearest, counts((484, 484), 0.6)[4]), (15_296, 16));

        let (small, large) = (counts((1024, 703), 0.7), counts((1280, 895), 0.7));
        assert_eq!(small, [66, 60, 60, 84, 77, 77, 84, 77, 77]);
        assert_eq!(large, [126, 126, 126, 150, 150, 150, 150, 150, 150]);
        let with_band = (counts((1024, 768), 0.7), counts((1280, 960), 0.7));
        let mut mixtures = Vec::new();
        for (small, large) in [(small, large), with_band] {
            for (small, large) in small.into_iter().zip(large) {
                let fits = |&(a, b): &(usize, usize)| small * a + large * b == 14_566;
                mixtures.extend((0..=250).flat_map(|a| (0..=250).map(move |b| (a, b))).filter(fits));
            }
        }
        mixtures.sort_unstable();
        mixtures.dedup();
        // Images of 1024×703 and of 1280×895; neither sum is 164 or 178.
        assert_eq!(mixtures, [(8, 93), (158, 16)]);
    }

    proptest! {
        #[test]
        fn shifted_and_padded_patches_cover_all_and_dropped_ones_stay_inside(
            length in 1usize..400, size in 1usize..120, overlap in 0.0f64..0.99,
        ) {
            for edge in EDGES {
                let starts = positions(length, size, overlap, edge);
                prop_assert!(starts.is_sorted_by(|a, b| a < b));
                prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= size));
                let end = starts.last().map_or(0, |start| start + size);
                match edge {
                    Edge::Drop => prop_assert!(end <= length),
                    Edge::Shift => prop_assert!(end == length || (size > length && starts == [0])),
                    Edge::Pad => prop_assert!(end >= length),
                }
            }
        }
    }
}
