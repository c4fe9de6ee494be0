use super::*;

/// As CVAT 2 exports "CVAT for images 1.1"; the mask's runs go along the rows of its box.
pub(super) const FILE: &str = include_str!("../../../tests/annotations/cvat.xml");

#[test]
fn shapes_are_drawn_by_their_layer() {
    assert_eq!(mask(FILE, "images/a.png"), ["pppp....", "ppppaaaa", "ppppaxxa", "....xxxx", ".pp.xxxx", "..pp.xx."]);
    // A box that is turned by a right angle about its centre (5, 2).
    let turned = FILE.replace("ybr=\"3.00\"", "ybr=\"3.00\" rotation=\"90.0\"");
    let column = |rows: &[String], i: usize| rows.iter().map(|row| row.chars().nth(i).unwrap()).collect::<String>();
    let rows = mask(&turned, "a.png");
    assert_eq!(column(&rows, 7), "...xx.");
    assert_eq!(column(&rows, 4), "aaaxx.");
}

#[test]
fn other_xml_and_dangerous_xml_is_refused() {
    let with = |from: &str, to: &str| {
        assert!(FILE.contains(from));
        parse(&FILE.replacen(from, to, 1)).unwrap_err()
    };
    assert_eq!(
        with("rle=\"0, 2, 2, 2\"", "rle=\"0, 2, 2\""),
        "labels.json: lot 1/a.png, mask (shape 4) (\"pore\"): run lengths that do not add up to 3×2 pixels; export the \
         annotations again"
    );
    assert_eq!(
        with("points=\"0.00,0.00;4.00,0.00;4.00,3.00;0.00,3.00\"", "points=\"nan,0;1,1;2,2\""),
        "labels.json: lot 1/a.png, polygon (shape 1) (\"pore\"): no corners that can be read; correct the shape, or export \
         the annotations again"
    );
    assert_eq!(
        with("xtl=\"2.00\"", "xtl=\"inf\""),
        "labels.json: lot 1/a.png, box (shape 2) (\"austenite\"): no `xtl` that can be read; correct the shape, or export \
         the annotations again"
    );
    assert_eq!(
        parse("<annotations><version>1.1</version><track id=\"0\"/></annotations>").unwrap_err(),
        "labels.json: CVAT's annotations of a video; export the task as \"CVAT for images 1.1\""
    );
    assert!(parse("<annotation><folder/></annotation>").unwrap_err().contains("XML without CVAT's images"));
    let bomb = "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><annotations>&b;</annotations>";
    assert!(parse(bomb).unwrap_err().contains("cannot be read as XML of CVAT (XML with DTD detected)"));
    assert!(parse("<annotations><image>").unwrap_err().contains("cannot be read as XML of CVAT"));
}
