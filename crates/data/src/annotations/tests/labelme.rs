use super::*;

/// As labelme 5 writes it, with every kind of area; the mask's png was written by PIL (rows 110, 011).
const FILE: &str = include_str!("../../../tests/annotations/labelme.json");

#[test]
fn every_kind_of_area_is_drawn_and_a_line_that_is_not_wanted_is_passed_over() {
    let expected = ["aaaa..pp", "aaaa..pp", "aaaa.xx.", "....xxxx", ".pp.xxxx", "..pp.xx."];
    assert_eq!(mask(FILE, "images/a b.tif"), expected);
    // PIL's 1-bit png, and one with 255.
    let one_bit = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAQAAAAC1D1u3AAAADElEQVR4nGM4wJAAAAKkASGgqoIMAAAAAElFTkSuQmCC";
    let white = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGP4/5+BkeE/AwAO/QL/JJg4yAAAAABJRU5ErkJggg==";
    let own = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGNgZGRgZGBkAAAAGwAFwyGmzgAAAABJRU5ErkJggg==";
    for other in [one_bit, white] {
        assert_eq!(mask(&FILE.replace(own, other), "a b.jpg"), expected);
    }
}

#[test]
fn a_rectangle_of_four_corners_and_a_polygon_without_kind_are_read() {
    let file = r#"{"version": "3.0", "shapes": [
        {"label": "pore", "points": [[1, 1], [4, 1], [4, 3], [1, 3]], "shape_type": "rectangle"},
        {"label": "austenite", "points": [[5, 2], [8, 2], [8, 5], [5, 5]], "line_color": null, "fill_color": null}],
        "imagePath": "a.png", "imageData": null}"#;
    assert_eq!(
        mask(file, "a.png"),
        ["........", ".ppp....", ".pppaaa.".replace("aaa.", ".aaa").as_str(), ".....aaa", ".....aaa", "........"]
    );
}

#[test]
fn wrong_shapes_are_refused_with_their_place() {
    let with = |shape: &str| {
        let text =
            format!("{{\"shapes\": [{shape}], \"imagePath\": \"a.png\", \"imageWidth\": 8, \"imageHeight\": 6}}");
        drawn(&text, "a.png", (8, 6), &rules()).unwrap_err()
    };
    let at = "labels.json: a.png, shape 1 (\"pore\"): ";
    let cases = [
        (r#""points": [[1, 1], [2, 2]]"#, "a polygon of 2 corners; correct the shape or delete it"),
        (
            r#""points": [[1, 1]], "shape_type": "circle""#,
            "a circle of 1 points, not 2; correct the shape or delete it",
        ),
        (
            r#""points": [[1, 1], [1, 4]], "shape_type": "rectangle""#,
            "a rectangle of 0×3 pixels; correct the shape or delete it",
        ),
        (
            r#""points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "!""#,
            "no `mask` that can be read; correct the shape, or export the annotations again",
        ),
        (
            r#""points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAQAAAAC1D1u3AAAADElEQVR4nGM4wJAAAAKkASGgqoIMAAAAAElFTkSuQmCC""#,
            "its `mask` is no png of 2×2, the size that its points give; correct the shape, or use the image that was annotated",
        ),
        (
            r#""points": [[1, 1], [2e9, 2e9]], "shape_type": "mask", "mask": "iVBO""#,
            "reaches to (2000000001, 2000000001), far outside of the image, which is 8×6; correct the shape, or use the image \
             that was annotated",
        ),
        (
            r#""points": [[1, 1], [5, 5]], "shape_type": "linestrip""#,
            "a linestrip has no area; correct the shape, or use the image that was annotated",
        ),
    ];
    for (shape, expected) in cases {
        assert_eq!(with(&format!("{{\"label\": \"pore\", {shape}}}")), format!("{at}{expected}"), "{shape}");
    }
}
