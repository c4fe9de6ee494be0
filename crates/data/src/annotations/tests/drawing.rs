use super::*;

/// A labelme file of polygons: (name, corners).
fn file(shapes: &[(&str, &[(f64, f64)])]) -> String {
    let shape = |(name, corners): &(&str, &[(f64, f64)])| {
        let points: Vec<String> = corners.iter().map(|(x, y)| format!("[{x:?}, {y:?}]")).collect();
        format!("{{\"label\": \"{name}\", \"points\": [{}]}}", points.join(", "))
    };
    let shapes: Vec<String> = shapes.iter().map(shape).collect();
    format!("{{\"shapes\": [{}], \"imagePath\": \"a.png\"}}", shapes.join(", "))
}

fn square(left: f64, top: f64, side: f64) -> Vec<(f64, f64)> {
    vec![(left, top), (left + side, top), (left + side, top + side), (left, top + side)]
}

#[test]
fn overlap_is_decided_as_the_experiment_says() {
    let (small, large) = (square(1.0, 1.0, 2.0), square(0.0, 0.0, 5.0));
    let text = file(&[("pore", &small), ("austenite", &large)]);
    let with = |overlap| drawn(&text, "a.png", (8, 6), &AnnotationRules { overlap, ..rules() });
    assert_eq!(with(Overlap::Last).unwrap()[1], "aaaaa...");
    assert_eq!(with(Overlap::SmallestOnTop).unwrap()[1], "appaa...");
    assert_eq!(
        with(Overlap::Refuse).unwrap_err(),
        "labels.json: a.png, shape 2 (\"austenite\"): overlaps shape 1 (\"pore\") in 4 pixels, the first in column 1, row 1; \
         correct the shapes, or set `overlap = \"last\"` or `\"smallest_on_top\"`"
    );
    // Shapes of one class may overlap.
    let text = file(&[("pore", &small), ("pore", &large)]);
    let refuse = AnnotationRules { overlap: Overlap::Refuse, ..rules() };
    assert_eq!(drawn(&text, "a.png", (8, 6), &refuse).unwrap()[1], "ppppp...");
    // Ignored pixels are drawn like a class.
    let text = file(&[("austenite", &large), ("scratch", &small)]);
    assert_eq!(mask(&text, "a.png")[1], "axxaa...");
    let ignored = AnnotationRules { background: IGNORE, ..rules() };
    assert_eq!(drawn(&text, "a.png", (8, 6), &ignored).unwrap()[1], "axxaaxxx");
}

#[test]
fn neighbours_that_share_an_outline_neither_overlap_nor_leave_a_gap() {
    // The diagonal, and the line at 2.5, go through centres of pixels.
    let (upper, lower) = ([(0.0, 0.0), (6.0, 0.0), (6.0, 6.0)], [(0.0, 0.0), (6.0, 6.0), (0.0, 6.0)]);
    let refuse = AnnotationRules { overlap: Overlap::Refuse, background: IGNORE, ..rules() };
    let text = file(&[("pore", &upper), ("austenite", &lower)]);
    assert_eq!(
        drawn(&text, "a.png", (6, 6), &refuse).unwrap(),
        ["pppppp", "appppp", "aapppp", "aaappp", "aaaapp", "aaaaap"]
    );
    let (left, right) = (square(-3.5, 0.0, 6.0), square(2.5, 0.0, 6.0));
    let text = file(&[("pore", &left), ("austenite", &right)]);
    assert_eq!(drawn(&text, "a.png", (6, 6), &refuse).unwrap(), ["ppaaaa"; 6]);
}

#[test]
fn shapes_are_cut_off_at_the_image_and_refused_far_outside() {
    let text = file(&[("pore", &square(-8.0, -8.0, 10.0)), ("austenite", &square(5.0, 3.0, 11.0))]);
    assert_eq!(mask(&text, "a.png"), ["pp......", "pp......", "........", ".....aaa", ".....aaa", ".....aaa"]);
    let text = file(&[("pore", &square(5.0, 3.0, 12.0))]);
    assert_eq!(
        drawn(&text, "a.png", (8, 6), &rules()).unwrap_err(),
        "labels.json: a.png, shape 1 (\"pore\"): reaches to (17, 15), far outside of the image, which is 8×6; correct the \
         shape, or use the image that was annotated"
    );
    let text = file(&[("pore", &square(1.0, -9.0, 2.0))]);
    assert!(drawn(&text, "a.png", (8, 6), &rules()).unwrap_err().contains("reaches to (1, -9)"));
    // Half of the box inside is enough.
    let reaching = |right: f64| file(&[("pore", &[(10.0, 0.0), (right, 0.0), (right, 20.0), (10.0, 20.0)])]);
    let rows = |right: f64| drawn(&reaching(right), "a.png", (40, 20), &rules());
    assert_eq!(rows(70.0).unwrap(), vec![".".repeat(10) + &"p".repeat(30); 20]);
    assert!(rows(70.1).unwrap_err().contains("reaches to (70.1, 20), far outside"));
    assert!(rows(1e300).unwrap_err().contains("reaches to (1e300, 20), far outside"));
}

#[test]
fn coordinates_that_are_no_pixels_are_refused() {
    let error = |shapes: &[(&str, &[(f64, f64)])]| drawn(&file(shapes), "a.png", (8, 6), &rules()).unwrap_err();
    assert_eq!(
        error(&[("pore", &square(0.25, 0.5, 0.5)), ("austenite", &square(0.0, 0.0, 1.0))]),
        "labels.json: annotates a.png with coordinates from 0 to 1; export them in pixels"
    );
    let cure = "export the coordinates in pixels, or delete the shapes";
    assert_eq!(
        error(&[("pore", &square(2.6, 1.6, 0.5)), ("austenite", &square(0.0, 0.0, 0.2))]),
        format!("labels.json: a.png, shape 1 (\"pore\"): covers no pixel, as all 2 shapes of the image; {cure}")
    );
    assert_eq!(
        error(&[("pore", &square(2.6, 1.6, 0.5))]),
        format!("labels.json: a.png, shape 1 (\"pore\"): covers no pixel; {cure}")
    );
    // One small shape among others is none.
    let text = file(&[("austenite", &square(0.0, 0.0, 0.2)), ("pore", &square(2.0, 1.0, 1.0))]);
    assert_eq!(mask(&text, "a.png")[1], "..p.....");
}

#[test]
fn an_image_of_another_size_than_annotated_is_refused() {
    let text = r#"{"shapes": [], "imagePath": "a.png", "imageWidth": 8, "imageHeight": 6}"#;
    assert_eq!(mask(text, "a.png"), ["........"; 6]);
    assert_eq!(
        drawn(text, "a.png", (4, 3), &rules()).unwrap_err(),
        "labels.json: annotates a.png at 8×6, and it is 4×3; use the image that was annotated, at its full size"
    );
    assert_eq!(
        drawn(text, "a.png", (6, 8), &rules()).unwrap_err(),
        "labels.json: annotates a.png at 8×6, and it is 6×8; the image was turned after or before it was annotated: annotate \
         it as it is displayed now"
    );
    assert!(drawn(text, "b.png", (8, 6), &rules()).unwrap_err().contains("has no entry for b.png"));
}

proptest! {
    /// A pixel's centre decides, so a shifted polygon gives the shifted mask, also where it is cut off.
    #[test]
    fn a_mask_is_the_part_of_a_larger_one(corners in prop::collection::vec((-16i32..64, -16i32..48), 3..9)) {
        let corners = |shift: f64| -> Vec<(f64, f64)> {
            corners.iter().map(|(x, y)| (f64::from(*x) / 4.0 + shift, f64::from(*y) / 4.0 + shift)).collect()
        };
        // With a second shape, as an image of which no shape covers a pixel is refused.
        let with = |shift: f64| file(&[("pore", &corners(shift)), ("matrix", &square(shift, shift, 2.0))]);
        let small = drawn(&with(0.0), "a.png", (8, 6), &rules()).unwrap();
        let large = drawn(&with(4.0), "a.png", (24, 24), &rules()).unwrap();
        for (row, of_large) in small.iter().zip(&large[4..]) {
            prop_assert_eq!(row, &of_large[4..12]);
        }
    }
}
