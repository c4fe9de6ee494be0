use super::*;

/// The table of images as VIA 2.0.12 exports it; a project holds it as `_via_img_metadata`.
const IMAGES: &str = include_str!("../../../tests/annotations/via-images.json");

pub(super) const CSV: &str = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\r\n\
a.png,4711,\"{\"\"caption\"\":\"\"\"\"}\",3,0,\"{\"\"name\"\":\"\"polygon\"\",\"\"all_points_x\"\":[0,4,4,0],\"\"all_points_y\"\":[0,0,3,3]}\",\"{\"\"phase\"\":\"\"austenite\"\"}\"\r\n\
a.png,4711,\"{}\",3,1,\"{\"\"name\"\":\"\"rect\"\",\"\"x\"\":6,\"\"y\"\":0,\"\"width\"\":2,\"\"height\"\":2}\",\"{\"\"phase\"\":\"\"pore\"\"}\"\r\n\
b.png,12,\"{}\",0,0,\"{}\",\"{}\"\r\n";

fn by_phase() -> AnnotationRules {
    AnnotationRules { attribute: Some("phase".into()), ..rules() }
}

#[test]
fn projects_and_exports_are_read_with_every_kind_of_area() {
    let project = format!("{{\"_via_settings\": {{}}, \"_via_img_metadata\": {IMAGES}, \"_via_attributes\": {{}}}}");
    let expected =
        ["aaaa..pp", "aaaa..pp", "aaaa.xx.", "....xxxx", "pppp.xxx".replace(".xxx", "xxxx").as_str(), "pppp.xx."]
            .map(String::from);
    for text in [IMAGES, &project] {
        assert_eq!(drawn(text, "images/a.png", (8, 6), &by_phase()).unwrap(), expected);
        assert_eq!(drawn(text, "b.png", (8, 6), &by_phase()).unwrap(), ["........"; 6]);
    }
    let rows = ["aaaa..pp", "aaaa..pp", "aaaa....", "........", "........", "........"];
    assert_eq!(mask(CSV, "a.png"), rows);
    assert_eq!(parse(CSV).unwrap().images().len(), 2);
}

/// Version 1 has a table of regions in the place of a list: 10 comes after 9.
#[test]
fn regions_by_number_are_drawn_in_their_order() {
    let region = |name: &str| {
        format!(
            "{{\"shape_attributes\": {{\"name\": \"rect\", \"x\": 0, \"y\": 0, \"width\": 8, \"height\": 6}}, \
             \"region_attributes\": {{\"class\": \"{name}\"}}}}"
        )
    };
    let text = format!(
        "{{\"a.png1\": {{\"fileref\": \"\", \"size\": 1, \"filename\": \"a.png\", \"base64_img_data\": \"\", \
         \"file_attributes\": {{}}, \"regions\": {{\"10\": {}, \"9\": {}}}}}}}",
        region("pore"),
        region("austenite")
    );
    assert_eq!(mask(&text, "a.png"), ["pppppppp"; 6]);
}

#[test]
fn a_class_that_cannot_be_told_is_refused() {
    assert_eq!(parse(IMAGES).unwrap().images().len(), 2, "only `phase` has a value in all regions");
    let two =
        IMAGES.replace("{\"phase\": \"pore\", \"quality\": {}}", "{\"phase\": \"\", \"quality\": {\"good\": true}}");
    assert_eq!(
        parse(&two).unwrap_err(),
        "labels.json: regions have the attributes phase, quality; say which holds the class: `attribute = \"phase\"`"
    );
    let both = IMAGES.replace("\"blur\": false", "\"blur\": true");
    let rules = AnnotationRules { attribute: Some("quality".into()), ..rules() };
    assert_eq!(
        drawn(&both, "a.png", (8, 6), &rules).unwrap_err(),
        "labels.json: a.png, region 4: several values of its attribute `quality`: {\"blur\":true,\"good\":true}; leave one \
         of them"
    );
    let uneven = IMAGES.replacen("[0, 0, 3, 3]", "[0, 0, 3]", 1);
    assert_eq!(
        drawn(&uneven, "a.png", (8, 6), &by_phase()).unwrap_err(),
        "labels.json: a.png, region 1 (\"austenite\"): a polygon of 4 x and 3 y; correct the shape or delete it"
    );
    let broken = CSV.replace("\"\"width\"\":2", "\"\"width\"\":");
    assert!(parse(&broken).unwrap_err().starts_with(
        "labels.json: cannot be read as a table of VIA (row 2 of a.png, `region_shape_attributes`: expected value"
    ));
}
