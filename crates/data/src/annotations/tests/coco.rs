use super::*;

/// As CVAT and pycocotools write it: several polygons for one object, run lengths in numbers and in text, a crowd.
pub(super) const FILE: &str = include_str!("../../../tests/annotations/coco.json");

#[test]
fn polygons_of_an_object_are_united_and_run_lengths_go_down_the_columns() {
    assert_eq!(
        mask(FILE, "train/images/a.png"),
        ["......aa", ".aaaa.aa", ".appa...", ".appa...", "........", "........"]
    );
    // Its last pixel, at the bottom right, is covered by the object that comes later.
    assert_eq!(mask(FILE, "b.tif"), ["p......a", ".......a", "..pp...a", "..pp...a", ".......a", ".......a"]);
}

#[test]
fn what_cannot_be_a_segmentation_is_refused_with_its_place() {
    let with = |segmentation: &str| {
        let text = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
            "categories": [{"id": 1, "name": "pore"}],
            "annotations": [{"id": 17, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "segmentation": HERE}]}"#;
        parse(&text.replace("HERE", segmentation)).unwrap_err()
    };
    let at = "labels.json: a.png, annotation 17 (\"pore\"): ";
    let cases = [
        ("[[1, 1, 5, 1]]", "a polygon of 2 corners; correct the shape or delete it"),
        ("[[1, 1, 5, 1, 3]]", "a polygon of 5 numbers, which are no pairs; export the annotations again"),
        ("[]", "no segmentation, at most a box; export segmentations, not only boxes"),
        ("null", "no segmentation, at most a box; export segmentations, not only boxes"),
        (
            r#"{"size": [6, 8], "counts": [14, 2, 4]}"#,
            "run lengths that do not add up to 8×6 pixels; export the annotations again",
        ),
        (
            r#"{"size": [8, 6], "counts": [48]}"#,
            "run lengths for 6×8 pixels in an image of 8×6; export the annotations again",
        ),
        (r#"{"size": [6, 8], "counts": "é"}"#, "run lengths that cannot be read; export the annotations again"),
        (
            r#"{"size": [6, 8], "counts": [4294967295, 4294967295, 4294967295]}"#,
            "run lengths that do not add up to 8×6 pixels; export the annotations again",
        ),
    ];
    for (segmentation, expected) in cases {
        assert_eq!(with(segmentation), format!("{at}{expected}"), "{segmentation}");
    }
    assert!(with("7").contains("`segmentation` must be a list of polygons, or `size` and `counts` at line 3"));
    assert!(with("[[1, 1e999]]").starts_with("labels.json: cannot be read as COCO (number out of range at line 3"));
}

#[test]
fn ids_that_lead_nowhere_or_to_two_are_refused() {
    let with = |from: &str, to: &str| {
        assert!(FILE.contains(from));
        parse(&FILE.replacen(from, to, 1)).unwrap_err()
    };
    assert_eq!(
        with("\"image_id\": 5", "\"image_id\": 6"),
        "labels.json: annotation 3: no image has the id 6; export the annotations again"
    );
    assert_eq!(
        with("\"category_id\": 7", "\"category_id\": \"x\""),
        "labels.json: annotation 2: no category has the id x; export the annotations again"
    );
    assert_eq!(
        with("{\"id\": 7, \"name\"", "{\"id\": 1, \"name\""),
        "labels.json: the category 1 is \"austenite\" and \"pore\"; give each category an id of its own"
    );
    assert_eq!(
        with("{\"id\": 5, \"width\"", "{\"id\": 1, \"width\""),
        "labels.json: two images of the id 1; give each image an id of its own"
    );
}

proptest! {
    /// Run lengths, in numbers and as text, give back the very pixels.
    #[test]
    fn run_lengths_are_exact(pixels in prop::collection::vec(any::<bool>(), 48)) {
        let (mut lengths, mut inside, mut length) = (Vec::new(), false, 0u32);
        for column in 0..8 {
            for row in 0..6 {
                if pixels[row * 8 + column] != inside {
                    lengths.push(std::mem::take(&mut length));
                    inside = !inside;
                }
                length += 1;
            }
        }
        lengths.push(length);
        let text = serde_json::to_string(&runs::tests::text_of(&lengths)).unwrap();
        for counts in [format!("{lengths:?}"), text] {
            let file = format!(
                "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.png\"}}], \"categories\": [{{\"id\": 1, \"name\": \"pore\"}}], \
                 \"annotations\": [{{\"image_id\": 1, \"category_id\": 1, \
                 \"segmentation\": {{\"size\": [6, 8], \"counts\": {counts}}}}}]}}"
            );
            let found = mask(&file, "a.png").concat();
            let expected: String = pixels.iter().map(|&inside| if inside { 'p' } else { '.' }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
