//! Objects against scikit-image, against a flood fill, and by hand; intercepts of pictures whose lengths are known.

use matssl_base::random::Stream;
use matssl_metrics::{Distribution, Intercept, InterceptMeter, Object, ObjectMeter, ObjectSummary};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn measure(mask: &[u8], width: usize) -> Vec<Object> {
    let mut meter = ObjectMeter::new(1, width);
    meter.add(mask);
    meter.finish()
}

fn pixels(rows: &[&str]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.bytes().map(|byte| byte - b'0')).collect()
}

#[derive(serde::Deserialize)]
struct Case {
    width: usize,
    pixel: [f64; 2],
    mask: Vec<String>,
    objects: Vec<Object>,
}

/// `objects.py` wrote the file.
#[test]
fn objects_are_those_of_scikit_image() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("objects.json")).unwrap();
    assert_eq!(cases.iter().map(|case| case.objects.len()).sum::<usize>(), 45);
    for case in cases {
        let mask = pixels(&case.mask.iter().map(String::as_str).collect::<Vec<_>>());
        let mut meter = ObjectMeter::new(1, case.width);
        mask.chunks(3 * case.width).for_each(|rows| meter.add(rows));
        let ours = meter.finish_in(case.pixel);
        assert_eq!(ours.len(), case.objects.len());
        for (ours, theirs) in ours.iter().zip(&case.objects) {
            assert_eq!((ours.area, ours.touches_edge), (theirs.area, theirs.touches_edge));
            assert_eq!(ours.nearest.is_some(), theirs.nearest.is_some());
            let numbers = |o: &Object| {
                [o.centroid[0], o.centroid[1], o.equivalent_diameter, o.aspect_ratio, o.nearest.unwrap_or_default()]
            };
            for (a, b) in numbers(ours).into_iter().zip(numbers(theirs)) {
                assert!((a - b).abs() < 1e-9, "{ours:?} {theirs:?}");
            }
        }
    }
}

#[test]
fn far_from_the_origin_no_digit_is_lost() {
    let width = 100_000;
    let mut row = vec![0; width];
    row[width - 11..width - 1].fill(1);
    let mut meter = ObjectMeter::new(1, width);
    let empty = vec![0; width];
    (0..500).for_each(|_| meter.add(&empty));
    (0..5).for_each(|_| meter.add(&row));
    meter.add(&empty);
    let object = meter.finish()[0];
    // A rectangle's moments are its sides squared by 12.
    assert!((object.aspect_ratio - 2.0).abs() < 1e-12, "{object:?}");
    assert_eq!((object.centroid, object.area, object.touches_edge), ([width as f64 - 6.5, 502.0], 50, false));
}

#[test]
fn a_line_has_a_ratio_and_a_ring_shares_its_centre_with_what_is_inside() {
    let line = measure(&pixels(&["000000", "011110", "000000"]), 6);
    assert!((line[0].aspect_ratio - 4.0).abs() < 1e-12 && line[0].nearest.is_none());
    let ring = measure(&pixels(&["11111", "10001", "10101", "10001", "11111"]), 5);
    let seen: Vec<_> = ring.iter().map(|o| (o.area, o.nearest, o.touches_edge)).collect();
    assert_eq!(seen, [(16, Some(0.0), true), (1, Some(0.0), false)]);
}

/// The components of `mask` by a flood fill: their pixels.
fn flood(mask: &[u8], width: usize) -> BTreeSet<Vec<usize>> {
    let height = mask.len() / width;
    let mut seen = vec![false; mask.len()];
    let mut components = BTreeSet::new();
    for start in 0..mask.len() {
        if seen[start] || mask[start] != 1 {
            continue;
        }
        let mut pixels = Vec::new();
        let mut stack = vec![start];
        seen[start] = true;
        while let Some(at) = stack.pop() {
            pixels.push(at);
            let (x, y) = (at % width, at / width);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let other = ny * width + nx;
                    if mask[other] == 1 && !std::mem::replace(&mut seen[other], true) {
                        stack.push(other);
                    }
                }
            }
        }
        pixels.sort_unstable();
        components.insert(pixels);
    }
    components
}

fn check_against_flood(mask: &[u8], width: usize) {
    let ours = measure(mask, width);
    // Both in the order of the first pixels.
    let theirs = flood(mask, width);
    assert_eq!(ours.len(), theirs.len());
    let height = mask.len() / width;
    let centre = |pixels: &Vec<usize>| {
        let mean =
            |of: &dyn Fn(usize) -> usize| pixels.iter().map(|&p| of(p) as f64).sum::<f64>() / pixels.len() as f64;
        [mean(&|p| p % width), mean(&|p| p / width)]
    };
    let centres: Vec<[f64; 2]> = theirs.iter().map(centre).collect();
    for (index, (ours, pixels)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours.area, pixels.len() as u64);
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        assert!(distance(ours.centroid, centres[index]) < 1e-9);
        let sides = |p: usize| [(p % width, width - 1), (p / width, height - 1)];
        let edge = |p: &usize| sides(*p).iter().any(|&(at, last)| at == 0 || at == last);
        assert_eq!(ours.touches_edge, pixels.iter().any(edge));
        let others = (0..centres.len()).filter(|&other| other != index);
        let nearest = others.map(|other| distance(centres[index], centres[other])).reduce(f64::min);
        assert_eq!(ours.nearest.is_some(), nearest.is_some());
        assert!((ours.nearest.unwrap_or_default() - nearest.unwrap_or_default()).abs() < 1e-9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn components_are_those_of_a_flood_fill(width in 1usize..40, height in 1usize..30, seed in any::<u64>(), p in 0.05f64..0.95) {
        let mut stream = Stream::new(seed, "mask", 0, 0);
        let mask: Vec<u8> = (0..width * height).map(|_| u8::from(stream.chance(p))).collect();
        check_against_flood(&mask, width);
    }
}

/// About 2,500 labels, more than are kept, so that unused ones are dropped while some runs are open.
#[test]
fn memory_is_that_of_open_runs_and_nothing_is_lost_when_labels_are_dropped() {
    let (width, height) = (64, 700);
    let mut stream = Stream::new(3, "mask", 0, 0);
    let mut mask: Vec<u8> = (0..width * height).map(|_| u8::from(stream.chance(0.25))).collect();
    // One object along the whole height.
    (0..height).for_each(|y| mask[y * width + 20] = 1);
    check_against_flood(&mask, width);
}

#[test]
fn objects_at_the_edge_count_half_and_are_in_no_distribution() {
    let objects = measure(&pixels(&["1000000", "0011000", "0011010", "0000000"]), 7);
    let summary = ObjectSummary::of(&objects, 28.0);
    assert_eq!((summary.count, summary.at_edge, summary.per_area), (3, 1, Some(2.5 / 28.0)));
    let pixels = summary.pixels.unwrap();
    assert_eq!((pixels.count, pixels.mean, pixels.deviation), (2, 2.5, Some(4.5f64.sqrt())));
    let none = ObjectSummary::of(&[], 28.0);
    assert_eq!((none.count, none.per_area, none.diameter), (0, Some(0.0), None));
    // numpy.quantile([1, 2, 4, 8, 16], [0.1, 0.5, 0.9])
    let five = Distribution::of(vec![8.0, 1.0, 16.0, 2.0, 4.0]).unwrap();
    assert!(five.percentiles.iter().zip([1.4, 4.0, 12.8]).all(|(a, b)| (a - b).abs() < 1e-12), "{five:?}");
}

fn intercepts(labels: &[u8], width: usize) -> Vec<Intercept> {
    let mut meter = InterceptMeter::new(2, width);
    labels.chunks(width * 2).for_each(|rows| meter.add(rows));
    meter.finish()
}

#[test]
fn intercepts_of_a_checkerboard_are_its_squares_wherever_the_edge_cuts_them() {
    for shift in 0..6 {
        let label = |i: usize| ((i % 240 + shift) / 6 + (i / 240 + 2 * shift) / 4) % 2;
        let labels: Vec<u8> = (0..240 * 120).map(|i| label(i) as u8).collect();
        for class in intercepts(&labels, 240) {
            // The part of the line beyond the last boundary is at most half a square of 40 (20) too much or too little.
            assert!((class.across.unwrap() - 6.0).abs() <= 6.0 / 38.0, "{shift}: {class:?}");
            assert!((class.down.unwrap() - 4.0).abs() <= 4.0 / 28.0, "{shift}: {class:?}");
        }
    }
}

#[test]
fn intercepts_of_disks_are_a_quarter_of_pi_times_their_diameter() {
    let (side, radius) = (400, 80.0);
    let inside = |i: usize| {
        let [x, y] = [i % side, i / side].map(|v| (v % 200) as f64 - 99.5);
        x.hypot(y) <= radius
    };
    let labels: Vec<u8> = (0..side * side).map(|i| u8::from(inside(i))).collect();
    let disks = intercepts(&labels, side)[1];
    let expected = std::f64::consts::PI / 2.0 * radius;
    assert!((disks.across.unwrap() / expected - 1.0).abs() < 5e-3, "{disks:?} {expected}");
    assert_eq!(disks.across, disks.down);
    let mean = disks.mean([0.5, 1.5]).unwrap();
    assert!((mean - disks.across.unwrap()).abs() < 1e-12);
}

#[test]
fn without_boundaries_there_is_no_intercept() {
    let stripes: Vec<u8> = (0..40).map(|i| u8::from(i / 10 >= 2)).collect();
    for class in intercepts(&stripes, 10) {
        assert_eq!((class.across, class.down, class.mean([1.0; 2])), (None, Some(4.0), None));
    }
    assert_eq!(intercepts(&[], 3)[0], Intercept { across: None, down: None });
}
