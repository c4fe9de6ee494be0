//! From the bytes of an annotation file to its shapes. The format is known by the content, not by the name.

use super::file::AnnotationFile;
use super::problem::Problem;
use super::{coco, cvat, geojson, labelme, via, via_csv};
use crate::DataError;
use crate::decode::stand_in;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::Path;

const KNOWN: &str = "COCO, labelme, VIA 2, GeoJSON (QuPath) and CVAT 1.1 are read";

impl AnnotationFile {
    /// Reads a file of any of the formats. `path` is for messages. `attribute` names the attribute that holds a shape's class,
    /// where a format has several.
    ///
    /// # Errors
    /// [`DataError::Bad`] with the place that cannot be read.
    pub(crate) fn parse(path: &Path, bytes: &[u8], attribute: Option<&str>) -> Result<Self, DataError> {
        parse(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), attribute).map_err(|problem| problem.of(path))
    }
}

fn parse(bytes: &[u8], attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[' | b'<', 0, ..] | [0, b'{' | b'[' | b'<', ..])
    {
        return Err(Problem::new("text in UTF-16", "save it in UTF-8"));
    }
    if !matches!(first, Some(b'{' | b'['))
        && let Some((what, cure)) = stand_in(bytes)
    {
        return Err(Problem::new(what.replace("the image", "the annotations"), cure));
    }
    match first {
        None => Err(Problem::new("an empty file", "export the annotations again")),
        Some(b'{') => object(bytes, attribute),
        Some(b'[') => {
            let items: Vec<Keys> = serde_json::from_slice(bytes).map_err(|error| Problem::unreadable("JSON", error))?;
            let has = |key: &str| items.iter().any(|item| item.contains_key(key));
            if has("geometry") || items.is_empty() {
                return geojson::parse(bytes, attribute);
            }
            Err(unknown(items.first().unwrap_or(&Keys::new())))
        }
        Some(b'<') => cvat::parse(bytes),
        Some(_) if via_csv::is_table(bytes) => via_csv::parse(bytes, attribute),
        Some(_) => Err(Problem::new("no annotations in a format that is read", KNOWN)),
    }
}

type Keys = BTreeMap<String, IgnoredAny>;

fn object(bytes: &[u8], attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let keys: Keys = serde_json::from_slice(bytes).map_err(|error| Problem::unreadable("JSON", error))?;
    let has = |names: &[&str]| names.iter().all(|name| keys.contains_key(*name));
    if has(&["shapes"]) {
        labelme::parse(bytes)
    } else if has(&["images", "annotations"]) {
        coco::parse(bytes)
    } else if has(&["_via_img_metadata"]) {
        via::parse_project(bytes, attribute)
    } else if has(&["type"]) && (has(&["features"]) || has(&["geometry"])) {
        geojson::parse(bytes, attribute)
    } else if has(&["project", "file", "view", "metadata"]) {
        Err(Problem::new("a project of VIA 3", format!("export it as COCO; {KNOWN}")))
    } else if via::is_export(bytes) {
        via::parse_export(bytes, attribute)
    } else {
        Err(unknown(&keys))
    }
}

fn unknown(keys: &Keys) -> Problem {
    let names: Vec<&str> = keys.keys().map(String::as_str).take(6).collect();
    Problem::new(format!("JSON in a format that is not read (its keys: {})", names.join(", ")), KNOWN)
}
