use super::*;

#[test]
fn what_is_no_annotation_file_is_refused_with_the_formats_that_are() {
    let known = "COCO, labelme, VIA 2, GeoJSON (QuPath) and CVAT 1.1 are read";
    let cases = [
        ("", "an empty file; export the annotations again"),
        (" \n", "an empty file; export the annotations again"),
        ("a,b\n1,2\n", "no annotations in a format that is read; "),
        ("{\"task\": 1, \"result\": []}", "JSON in a format that is not read (its keys: result, task); "),
        ("{}", "JSON in a format that is not read (its keys: ); "),
        ("[{\"image_id\": 1, \"score\": 1.0}]", "JSON in a format that is not read (its keys: image_id, score); "),
        (
            "{\"project\": {}, \"config\": {}, \"attribute\": {}, \"file\": {}, \"metadata\": {}, \"view\": {}}",
            "a project of VIA 3; export it as COCO; ",
        ),
    ];
    for (text, expected) in cases {
        let cure = if expected.ends_with("; ") { known } else { "" };
        assert_eq!(parse(text).unwrap_err(), format!("labels.json: {expected}{cure}"), "{text}");
    }
    assert!(parse("{\"shapes\": [").unwrap_err().starts_with("labels.json: cannot be read as JSON (EOF while parsing"));
    // A byte order mark is no fault.
    assert!(parse("\u{feff}{\"shapes\": [], \"imagePath\": \"a.png\"}").is_ok());
}

/// Deep nesting gives an error, and no overflow of the stack, wherever it stands.
#[test]
fn nested_files_are_refused() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    for text in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!("{{\"images\": [], \"annotations\": {}}}", deep("[", "]")),
        format!(
            "{{\"images\": [], \"annotations\": [{{\"id\": 1, \"image_id\": 1, \"category_id\": 1, \"segmentation\": {}}}]}}",
            deep("[", "]")
        ),
        format!("{{\"a\": {{\"filename\": \"a\", \"regions\": {}}}}}", deep("[", "]")),
        format!("[{{\"geometry\": {}}}]", deep("{\"type\": \"GeometryCollection\", \"geometries\": [", "]}")),
        format!("[{{\"geometry\": null, \"properties\": {{\"a\": {}}}}}]", deep("[", "]")),
    ] {
        assert!(parse(&text).is_err(), "{}", &text[..60]);
    }
    let nested = format!("<annotations>{}</annotations>", deep("<image name=\"a\">", "</image>"));
    assert!(
        drawn(&nested, "a", (8, 6), &rules())
            .unwrap_err()
            .contains("image (shape 1) (without a class): its name is no class")
    );
    // Nested data that nobody reads does no harm.
    assert!(parse(&format!("{{\"shapes\": [], \"imageData\": {}}}", deep("[", "]"))).is_ok());
}

#[test]
fn what_stands_in_the_place_of_annotations_is_named_with_its_cure() {
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n".to_vec();
    for (bytes, expected) in [
        (pointer, "a Git LFS pointer, not the annotations; run `git lfs pull`"),
        (b"<!DOCTYPE html><html></html>".to_vec(), "a web page, not the annotations; download the file again"),
        (b"\n<html>".to_vec(), "a web page, not the annotations; download the file again"),
        (
            b"../.git/annex/objects/ab/cd".to_vec(),
            "a git-annex pointer, not the annotations; run `git annex get` (or `datalad get`)",
        ),
        (b"PK\x03\x04...".to_vec(), "a zip archive; unpack it"),
        (vec![0; 40], "a file of zeros, as a copy leaves that did not finish; copy or download the file again"),
        (utf16("\u{feff}{\"shapes\": []}"), "text in UTF-16; save it in UTF-8"),
        (utf16("{\"shapes\": []}"), "text in UTF-16; save it in UTF-8"),
    ] {
        let error = AnnotationFile::parse(Path::new("labels.json"), &bytes, None).unwrap_err();
        assert_eq!(error.to_string(), format!("labels.json: {expected}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Damaged files give an error or a mask, and no panic.
    #[test]
    fn damaged_files_do_not_panic(which in 0usize..3, at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        let files = [super::cvat::FILE, super::via::CSV, super::coco::FILE];
        let mut bytes = files[which].as_bytes().to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = to }
        if let Ok(file) = AnnotationFile::parse(Path::new("x"), &bytes, None) {
            let _ = file.mask("a.png", (8, 6), &rules());
        }
    }
}
