//! From a polygon to the pixels that it covers.
//!
//! The rule, which decides every pixel of a mask made from polygons:
//!
//! * A pixel counts as its centre. The centre of the pixel in column x, row y is the point (x, y), because annotators click on
//!   pixels; `skimage.draw.polygon`, `cv2.fillPoly` and PIL's `ImageDraw.polygon` do the same.
//! * A pixel belongs to a polygon if its centre lies inside of it or on its outline, with a tolerance of a millionth of a pixel
//!   (a few published corners are crossings of outlines, rounded to decimals). PIL and OpenCV also *draw* the outline: their
//!   masks contain in addition the pixels on a thin line between two corners.
//! * The inside follows the even-odd rule, as in all three libraries: a region that an outline surrounds twice is outside. (432
//!   of Aachen–Heerlen's 8,909 outlines cross themselves; by the non-zero rule 0.005 % of the covered pixels would differ.)
//! * Clipping drops pixels outside the image and moves no corner, so the outline inside the image does not change.
//! * Several polygons give their union. Several rings of one object are taken together by the even-odd rule: a ring inside of
//!   another is a hole.
//!
//! Annotation tools other than that of Aachen–Heerlen count from the corner of the first pixel, not from its centre: see
//! [`crate::annotations`].

use super::Mask;

/// Largest distance along the row at which an outline still counts as passing through a pixel's centre. Between corners with
/// integer coordinates it passes at distance 0, or at more than 1 / (number of rows of the edge).
const ON_OUTLINE: f64 = 1e-6;

/// A corner (x, y) in pixels.
pub(crate) type Corner = (f64, f64);

/// Sets every pixel of `mask` that belongs to `polygon` to `label`. The corners (x, y) are in pixels and in order; the last one
/// is connected to the first.
pub(super) fn fill_polygon(mask: &mut Mask, polygon: &[Corner], label: u8) {
    let (width, labels) = (mask.width, &mut mask.labels);
    for_each_span(&[polygon], (width, mask.height), Outline::Inside, &mut |row, from, to| {
        labels[row * width + from..=row * width + to].fill(label);
    });
}

/// Whether a pixel whose centre lies exactly on the outline belongs to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outline {
    /// It does, with a tolerance of a millionth of a pixel.
    Inside,
    /// Only on the left and on the top. So a pixel between two objects that share an outline belongs to one of them.
    HalfOpen,
}

/// Calls `span(row, from, to)` for runs of pixels (columns `from` to `to`, both included) that together are the pixels of an
/// object in an image of `size` = (width, height). The object is the inside of `rings` by the even-odd rule over all of them, so
/// a ring inside another is a hole. Runs may overlap.
pub(crate) fn for_each_span(
    rings: &[&[Corner]],
    size: (usize, usize),
    outline: Outline,
    span: &mut dyn FnMut(usize, usize, usize),
) {
    if size.0 == 0 || size.1 == 0 {
        return;
    }
    let (right, bottom) = ((size.0 - 1) as f64, (size.1 - 1) as f64);
    let with_next = |ring: &&'_ [Corner]| {
        let ring = *ring;
        ring.iter().copied().zip(ring.iter().copied().cycle().skip(1)).collect::<Vec<_>>()
    };
    // Edges by their upper end; those that reach the row are in `active`.
    let mut edges: Vec<(Corner, Corner)> = rings.iter().flat_map(with_next).collect();
    edges.sort_by(|(a, b), (c, d)| a.1.min(b.1).total_cmp(&c.1.min(d.1)));
    let Some(&((_, y1), (_, y2))) = edges.first() else { return };
    let top = y1.min(y2).ceil().max(0.0);
    let bottom = edges.iter().fold(f64::NEG_INFINITY, |low, (a, b)| low.max(a.1).max(b.1)).floor().min(bottom);
    if top > bottom {
        return;
    }
    let mut coming = edges.iter().peekable();
    let mut active: Vec<&(Corner, Corner)> = Vec::new();
    let mut crossings = Vec::new();
    for row in top as usize..=bottom as usize {
        let y = row as f64;
        let mut set = |from: f64, to: f64| {
            let (from, to) = match outline {
                Outline::Inside => ((from - ON_OUTLINE).ceil().max(0.0), (to + ON_OUTLINE).floor().min(right)),
                Outline::HalfOpen => (from.ceil().max(0.0), (to.ceil() - 1.0).min(right)),
            };
            if from <= to {
                span(row, from as usize, to as usize);
            }
        };
        active.retain(|(a, b)| a.1.max(b.1) >= y);
        while let Some(edge) = coming.next_if(|(a, b)| a.1.min(b.1) <= y) {
            if edge.0.1.max(edge.1.1) >= y {
                active.push(edge);
            }
        }
        crossings.clear();
        for &&(a, b) in &active {
            // Two objects that share an edge go along it in opposite directions, and must find the same crossing.
            let ((x1, y1), (x2, y2)) = if outline == Outline::HalfOpen && a.1 > b.1 { (b, a) } else { (a, b) };
            let high = y1.max(y2);
            if y1 == y2 {
                if outline == Outline::Inside {
                    set(x1.min(x2), x1.max(x2));
                }
                continue;
            }
            let x = x1 + (y - y1) * (x2 - x1) / (y2 - y1);
            // The pixel whose centre lies on the outline, if there is one.
            if outline == Outline::Inside {
                set(x, x);
            }
            // A corner belongs to one of its two edges only.
            if y < high {
                crossings.push(x);
            }
        }
        crossings.sort_by(f64::total_cmp);
        for &[from, to] in crossings.as_chunks::<2>().0 {
            set(from, to);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether (x, y) is in `polygon`, by another method than above: the outline by cross products, the inside by the parity of
    /// crossings of a ray *downwards*.
    pub(crate) fn is_inside(polygon: &[(f64, f64)], x: usize, y: usize) -> bool {
        let (x, y) = (x as f64, y as f64);
        let mut inside = false;
        for i in 0..polygon.len() {
            let ((x1, y1), (x2, y2)) = (polygon[i], polygon[(i + 1) % polygon.len()]);
            let side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
            let is_outside = x < x1.min(x2) - ON_OUTLINE || x > x1.max(x2) + ON_OUTLINE;
            if !is_outside && y >= y1.min(y2) && y <= y1.max(y2) && side.abs() <= ON_OUTLINE * (y2 - y1).abs() {
                return true;
            }
            // The edge spans this column, and lies below the point.
            if (x1 <= x) != (x2 <= x) && (side > 0.0) == (x2 < x1) {
                inside = !inside;
            }
        }
        inside
    }

    fn drawn(size: (usize, usize), polygon: &[(f64, f64)]) -> Mask {
        let mut mask = Mask { width: size.0, height: size.1, labels: vec![0; size.0 * size.1] };
        fill_polygon(&mut mask, polygon, 1);
        mask
    }

    fn picture(mask: &Mask) -> Vec<String> {
        let row = |row: &[u8]| row.iter().map(|&v| if v == 1 { '#' } else { '.' }).collect();
        mask.labels.chunks(mask.width).map(row).collect()
    }

    #[test]
    fn centres_on_the_outline_are_inside_and_regions_surrounded_twice_are_outside() {
        let square = [(1.0, 1.0), (4.0, 1.0), (4.0, 3.0), (1.0, 3.0)];
        assert_eq!(picture(&drawn((6, 5), &square)), ["......", ".####.", ".####.", ".####.", "......"]);
        let half = [(0.5, 0.5), (3.5, 0.5), (3.5, 1.5), (0.5, 1.5)];
        assert_eq!(picture(&drawn((5, 3), &half)), [".....", ".###.", "....."]);
        let triangle = [(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)];
        assert_eq!(picture(&drawn((5, 5), &triangle)), ["#####", "####.", "###..", "##...", "#...."]);
        let peak = [(2.0, 0.0), (4.0, 4.0), (0.0, 4.0)];
        assert_eq!(picture(&drawn((5, 5), &peak)), ["..#..", "..#..", ".###.", ".###.", "#####"]);
        let twice = [
            (0.0, 0.0),
            (6.0, 0.0),
            (6.0, 6.0),
            (0.0, 6.0),
            (0.0, 0.0),
            (2.0, 2.0),
            (4.0, 2.0),
            (4.0, 4.0),
            (2.0, 4.0),
            (2.0, 2.0),
        ];
        assert_eq!(picture(&drawn((7, 7), &twice))[3], "###.###");
        let line = [(1.0, 1.0), (3.0, 1.0), (1.0, 1.0)];
        assert_eq!(picture(&drawn((5, 3), &line)), [".....", ".###.", "....."]);
    }

    #[test]
    fn polygons_are_clipped_at_the_image_and_an_empty_image_stays_empty() {
        let outside = [(-9.0, -9.0), (-3.0, -9.0), (-3.0, -3.0)];
        assert_eq!(drawn((4, 4), &outside).labels, [0; 16]);
        let around = [(-9.0, -9.0), (99.0, -9.0), (99.0, 99.0), (-9.0, 99.0)];
        assert_eq!(drawn((4, 4), &around).labels, [1; 16]);
        assert_eq!(drawn((0, 3), &around).labels, [0; 0]);
        assert_eq!(drawn((2, 2), &[]).labels, [0; 4]);
    }

    fn corners() -> impl Strategy<Value = Vec<(f64, f64)>> {
        // Few coordinates, so that corners and edges often meet centres and each other; quarters among them.
        prop::collection::vec((-12i32..60, -12i32..60), 3..9)
            .prop_map(|points| points.into_iter().map(|(x, y)| (f64::from(x) / 4.0, f64::from(y) / 4.0)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn each_pixel_agrees_with_a_test_of_its_point(polygon in corners(), integers in any::<bool>()) {
            let polygon: Vec<_> =
                polygon.into_iter().map(|(x, y)| if integers { (x.floor(), y.floor()) } else { (x, y) }).collect();
            let mask = drawn((12, 11), &polygon);
            for (i, &label) in mask.labels.iter().enumerate() {
                prop_assert_eq!(label == 1, is_inside(&polygon, i % 12, i / 12), "{} {}", i % 12, i / 12);
            }
        }

        #[test]
        fn clipping_is_the_same_as_cutting_a_larger_picture(polygon in corners()) {
            let shifted: Vec<_> = polygon.iter().map(|&(x, y)| (x + 5.0, y + 5.0)).collect();
            let (small, large) = (drawn((8, 7), &polygon), drawn((40, 40), &shifted));
            for y in 0..7 {
                prop_assert_eq!(&small.labels[y * 8..(y + 1) * 8], &large.labels[(y + 5) * 40 + 5..(y + 5) * 40 + 13]);
            }
        }
    }
}
