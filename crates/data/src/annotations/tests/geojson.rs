use super::*;

/// As QuPath 0.5 exports it: a polygon with a hole, a multipolygon, and a point that is not drawn.
const FILE: &str = r##"{"type": "FeatureCollection", "features": [
  {"type": "Feature", "id": "f2c7e5a0-0000-4000-8000-000000000001",
   "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [5, 0], [5, 5], [0, 5], [0, 0]], [[1, 1], [4, 1], [4, 3], [1, 3], [1, 1]]]},
   "properties": {"objectType": "annotation", "classification": {"name": "austenite", "color": [255, 0, 0]}}},
  {"type": "Feature", "id": "f2c7e5a0-0000-4000-8000-000000000002",
   "geometry": {"type": "MultiPolygon", "coordinates": [[[[6, 0], [8, 0], [8, 1], [6, 1], [6, 0]]], [[[6, 5], [8, 5], [8, 6], [6, 6], [6, 5]]]],
                "plane": {"c": -1, "z": 0, "t": 0}},
   "properties": {"objectType": "annotation", "name": "no. 2", "classification": {"name": "pore", "colorRGB": -16776961}, "isLocked": true}},
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [3, 3]}, "properties": {"classification": {"name": "scale"}}}
]}"##;

#[test]
fn holes_are_holes_and_parts_are_united() {
    let expected = ["aaaaa.pp", "a...a...", "a...a...", "aaaaa...", "aaaaa...", "......pp"];
    assert_eq!(mask(FILE, "any name.png"), expected);
    // Exported "pretty, as a list": the features without the collection.
    let list = FILE.split_once("\"features\": ").unwrap().1.strip_suffix('}').unwrap();
    assert_eq!(mask(list, "a.png"), expected);
    // QuPath 0.6 and later list the names of a derived class.
    let names = |names: &str| FILE.replace("\"name\": \"austenite\"", &format!("\"names\": {names}"));
    assert_eq!(mask(&names("[\"austenite\"]"), "a.png"), expected);
    let error = drawn(&names("[\"austenite\", \"fine\"]"), "a.png", (8, 6), &rules()).unwrap_err();
    assert!(error.starts_with("labels.json: feature 1 (\"austenite: fine\"): its name is no class"), "{error}");
    let one = r#"{"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [
        {"type": "Polygon", "coordinates": [[[0, 0, 0], [8, 0, 0], [8, 6, 0], [0, 6, 0]]]}]}, "properties": {"phase": "pore"}}"#;
    let rules = AnnotationRules { attribute: Some("phase".into()), ..rules() };
    assert_eq!(drawn(one, "a.png", (8, 6), &rules).unwrap(), ["pppppppp"; 6]);
}

#[test]
fn wrong_features_are_refused_with_their_place() {
    let with = |geometry: &str| {
        let properties = r#"{"classification": {"name": "pore"}}"#;
        parse(&format!("[{{\"type\": \"Feature\", \"geometry\": {geometry}, \"properties\": {properties}}}]"))
            .unwrap_err()
    };
    let at = "labels.json: feature 1 (\"pore\"): ";
    let again = "correct the shape, or export the annotations again";
    assert_eq!(with("null"), format!("{at}no geometry that can be read; {again}"));
    assert_eq!(with(r#"{"type": "Polygon", "coordinates": []}"#), format!("{at}no outline that can be read; {again}"));
    assert_eq!(
        with(r#"{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}"#),
        format!("{at}a polygon of 2 corners; correct the shape or delete it")
    );
    assert!(with(r#"{"type": "Polygon", "coordinates": [[[0]]]}"#).contains("a position needs x and y"));
    assert!(with(r#"{"type": "Sphere"}"#).contains("unknown variant `Sphere`"));
    // An object without class.
    let unnamed = FILE.replace("{\"name\": \"austenite\", \"color\": [255, 0, 0]}", "null");
    assert_eq!(
        drawn(&unnamed, "a.png", (8, 6), &rules()).unwrap_err(),
        "labels.json: feature 1 (without a class): its name is no class; add it to `names`"
    );
}
