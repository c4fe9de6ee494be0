//! Files of annotations: which tool wrote them, which images and classes they name.

use super::folders::Folder;
use super::found::FoundAnnotations;
use super::names::{Role, understand};
use super::pairs::Pair;
use super::sample::sample;
use crate::stem::stem;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Largest file that is looked into.
const LARGEST: u64 = 64 << 20;
/// Most files that are looked into.
const MOST: usize = 500;

/// What one file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    kind: &'static str,
    /// File names of images with shapes; `None`: the file is that of one image, by its own stem.
    images: Option<Vec<String>>,
    classes: BTreeSet<String>,
    attribute: Option<String>,
}

/// Pairs of folders of images and the annotation files that name these images, and what these files hold.
pub(super) fn pairs<'a>(
    root: &Path,
    files: &[String],
    folders: &'a [Folder],
) -> Option<(Vec<Pair<'a>>, FoundAnnotations)> {
    let mut contents: Vec<(&String, Content)> = Vec::new();
    for file in sample(files, MOST) {
        let path = root.join(file);
        if std::fs::metadata(&path).is_ok_and(|found| found.len() <= LARGEST)
            && let Ok(bytes) = std::fs::read(&path)
            && let Some(content) = content(file, &bytes)
        {
            contents.push((file, content));
        }
    }
    // The kind with the most images: others are notes, or exports of the same.
    let mut images_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, content) in &contents {
        *images_of.entry(content.kind).or_default() += content.images.as_ref().map_or(1, Vec::len);
    }
    let (kind, _) = images_of.into_iter().max_by_key(|(kind, images)| (*images, *kind))?;
    contents.retain(|(_, content)| content.kind == kind);
    let of_images: Vec<&Folder> =
        folders.iter().filter(|folder| !matches!(folder.role, Role::Masks | Role::PassedOver)).collect();
    let mut found = if contents.iter().all(|(_, content)| content.images.is_none()) {
        one_for_each(&contents, &of_images)
    } else {
        contents.iter().filter_map(|(file, content)| one_for_all(file, content, &of_images)).collect()
    };
    found.sort_by_key(|pair| std::cmp::Reverse(pair.matched.len()));
    let mut seen = BTreeSet::new();
    found.retain(|pair| seen.insert(&pair.images.path));
    let used = contents.iter().map(|(_, content)| content);
    let annotations = FoundAnnotations {
        kind,
        pattern: String::new(),
        classes: used
            .clone()
            .flat_map(|content| content.classes.iter().cloned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        attribute: used.filter_map(|content| content.attribute.clone()).next(),
    };
    (!found.is_empty()).then_some((found, annotations))
}

/// The folder whose images a file names.
fn one_for_all<'a>(file: &str, content: &Content, folders: &[&'a Folder]) -> Option<Pair<'a>> {
    let names: BTreeSet<&str> = content.images.iter().flatten().map(|name| stem(name)).collect();
    let (template, split) = template(file);
    let named = |folder: &Folder| folder.files.iter().filter(|name| names.contains(stem(name))).count();
    let same_split = |folder: &&&'a Folder| split.is_none() || folder.split == split;
    let folder =
        folders.iter().filter(same_split).max_by_key(|folder| named(folder)).filter(|folder| named(folder) > 0)?;
    let (with, without): (Vec<String>, Vec<String>) =
        folder.paths().into_iter().partition(|path| names.contains(stem(path)));
    let without_image = names.len().saturating_sub(with.len());
    let matched = with.into_iter().map(|path| (path, file.to_owned())).collect();
    Some(Pair {
        images: folder,
        masks: file.to_owned(),
        masks_template: template,
        pattern: "{stem}".into(),
        matched,
        without_mask: without,
        without_image,
    })
}

/// Folders of images of which each has a file of its stem.
fn one_for_each<'a>(contents: &[(&String, Content)], folders: &[&'a Folder]) -> Vec<Pair<'a>> {
    // (folder of the files, extension) → stems.
    let mut groups: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (file, _) in contents {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let extension = &name[stem(name).len()..];
        groups.entry((folder, extension)).or_default().insert(stem(name));
    }
    let mut found = Vec::new();
    for ((place, extension), stems) in groups {
        let named = |folder: &Folder| folder.files.iter().filter(|name| stems.contains(stem(name))).count();
        let beside = |folder: &Folder| folder.path == place;
        let best = folders.iter().max_by_key(|folder| (named(folder), beside(folder)));
        let Some(folder) = best.filter(|folder| named(folder) > 0) else { continue };
        let file = super::folders::inside(place, &format!("{{stem}}{extension}"));
        let (template, _) = template(&file);
        let (with, without): (Vec<String>, Vec<String>) =
            folder.paths().into_iter().partition(|path| stems.contains(stem(path)));
        let without_image = stems.len().saturating_sub(with.len());
        let matched = with.into_iter().map(|path| (path, file.clone())).collect();
        found.push(Pair {
            images: folder,
            masks: file,
            masks_template: template,
            pattern: "{stem}".into(),
            matched,
            without_mask: without,
            without_image,
        });
    }
    found
}

/// A path with `{split}` in the place of a split's name, and that split.
fn template(path: &str) -> (String, Option<(crate::Split, String)>) {
    let (mut parts, mut split) = (Vec::new(), None);
    for part in path.split('/') {
        let name = understand(part);
        match name.split {
            Some(found) if split.is_none() => {
                split = Some(found);
                parts.push(name.template);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    (parts.join("/"), split)
}

/// What a file holds, if it is one of annotations.
fn content(name: &str, bytes: &[u8]) -> Option<Content> {
    let extension = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if extension == "csv" {
        return via_table(bytes);
    }
    if extension == "xml" {
        return cvat(&String::from_utf8_lossy(bytes));
    }
    match serde_json::from_slice(bytes).ok()? {
        Value::Object(object) => {
            coco(&object).or_else(|| labelme(&object)).or_else(|| geojson(&object)).or_else(|| via(&object))
        }
        // QuPath writes a list of features.
        Value::Array(features) => of_features(&features),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

fn coco(object: &Map<String, Value>) -> Option<Content> {
    let list = |key: &str| object.get(key).and_then(Value::as_array);
    let (images, shapes, categories) = (list("images")?, list("annotations")?, list("categories")?);
    let used: BTreeSet<String> =
        shapes.iter().filter_map(|shape| Some(shape.get("category_id")?.to_string())).collect();
    let is_used = |category: &&Value| category.get("id").is_some_and(|id| used.contains(&id.to_string()));
    Some(Content {
        kind: "COCO",
        images: Some(images.iter().filter_map(|image| text(image.get("file_name"))).collect()),
        classes: categories.iter().filter(is_used).filter_map(|category| text(category.get("name"))).collect(),
        attribute: None,
    })
}

fn labelme(object: &Map<String, Value>) -> Option<Content> {
    let shapes = object.get("shapes")?.as_array()?;
    object.get("imagePath")?;
    let classes = shapes.iter().filter_map(|shape| text(shape.get("label"))).collect();
    Some(Content { kind: "labelme", images: None, classes, attribute: None })
}

fn geojson(object: &Map<String, Value>) -> Option<Content> {
    (object.get("type")?.as_str()? == "FeatureCollection").then_some(())?;
    of_features(object.get("features")?.as_array()?)
}

fn of_features(features: &[Value]) -> Option<Content> {
    features.first()?.get("geometry")?;
    let properties = || features.iter().filter_map(|feature| feature.get("properties"));
    let classes: BTreeSet<String> =
        properties().filter_map(|found| text(found.get("classification")?.get("name"))).collect();
    if !classes.is_empty() {
        return Some(Content { kind: "GeoJSON", images: None, classes, attribute: None });
    }
    let attribute = most_used(properties().filter_map(Value::as_object));
    let named = |found: &Value| text(found.get(attribute.as_deref()?));
    Some(Content { kind: "GeoJSON", images: None, classes: properties().filter_map(named).collect(), attribute })
}

fn via(object: &Map<String, Value>) -> Option<Content> {
    let files = object.get("_via_img_metadata").and_then(Value::as_object).unwrap_or(object);
    let mut images = Vec::new();
    let mut regions: Vec<&Value> = Vec::new();
    for file in files.values() {
        let shapes: Vec<&Value> = match file.get("regions")? {
            Value::Array(shapes) => shapes.iter().collect(),
            Value::Object(shapes) => shapes.values().collect(),
            _ => return None,
        };
        if !shapes.is_empty() {
            images.push(text(file.get("filename"))?);
            regions.extend(shapes);
        }
    }
    let attributes = || regions.iter().filter_map(|region| region.get("region_attributes")?.as_object());
    let attribute = most_used(attributes());
    let named = |found: &Map<String, Value>| text(found.get(attribute.as_deref()?));
    let classes = attributes().filter_map(named).collect();
    (!images.is_empty()).then_some(Content { kind: "VIA", images: Some(images), classes, attribute })
}

/// VIA's export as a table.
fn via_table(bytes: &[u8]) -> Option<Content> {
    let mut table = csv::Reader::from_reader(bytes);
    let header = table.headers().ok()?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim().trim_start_matches('#') == name);
    let [file, shape, attributes] =
        [column("filename")?, column("region_shape_attributes")?, column("region_attributes")?];
    let (mut images, mut regions) = (BTreeSet::new(), Vec::new());
    for row in table.records().map_while(Result::ok) {
        let object = |column: usize| serde_json::from_str::<Map<String, Value>>(row.get(column)?).ok();
        // The row of an image without shapes has `{}`.
        if object(shape).is_some_and(|shape| !shape.is_empty()) {
            images.insert(row.get(file)?.to_owned());
            regions.extend(object(attributes));
        }
    }
    let attribute = most_used(regions.iter());
    let classes = regions.iter().filter_map(|region| text(region.get(attribute.as_deref()?))).collect();
    let images: Vec<String> = images.into_iter().collect();
    (!images.is_empty()).then_some(Content { kind: "VIA", images: Some(images), classes, attribute })
}

/// The key that most often holds text.
fn most_used<'a>(tables: impl Iterator<Item = &'a Map<String, Value>>) -> Option<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for (key, value) in tables.flatten() {
        *counts.entry(key).or_default() += usize::from(value.is_string());
    }
    let (key, _) = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .max_by_key(|(key, count)| (*count, std::cmp::Reverse(*key)))?;
    Some(key.clone())
}

/// CVAT's format for images. Only names are looked for.
fn cvat(xml: &str) -> Option<Content> {
    xml.contains("<annotations").then_some(())?;
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(unescaped(rest.split_once('"')?.0))
    };
    let (mut images, mut classes, mut image) = (Vec::new(), BTreeSet::new(), None);
    for tag in xml.split('<').skip(1).filter_map(|tag| tag.split('>').next()) {
        let word = tag.split_whitespace().next().unwrap_or_default();
        match word {
            "image" => image = attribute(tag, "name"),
            "polygon" | "mask" | "box" | "polyline" | "ellipse" => {
                classes.extend(attribute(tag, "label"));
                images.extend(image.take());
            }
            _ => {}
        }
    }
    (!images.is_empty()).then_some(Content { kind: "CVAT", images: Some(images), classes, attribute: None })
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, names of images, names of classes, attribute.
    type Read = (&'static str, Option<Vec<String>>, Vec<String>, Option<String>);

    fn read(name: &str, text: &str) -> Option<Read> {
        let content = content(name, text.as_bytes())?;
        Some((content.kind, content.images, content.classes.into_iter().collect(), content.attribute))
    }

    #[test]
    fn each_format_is_known_by_its_content() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let coco = r#"{"images":[{"id":1,"file_name":"a.png"}],"annotations":[{"image_id":1,"category_id":2}],
            "categories":[{"id":1,"name":"unused"},{"id":2,"name":"pore"}]}"#;
        assert_eq!(read("x.json", coco), Some(("COCO", Some(owned(&["a.png"])), owned(&["pore"]), None)));
        let labelme = r#"{"imagePath":"a.png","shapes":[{"label":"b"},{"label":"a"},{"label":"b"}]}"#;
        assert_eq!(read("a.json", labelme), Some(("labelme", None, owned(&["a", "b"]), None)));
        let qupath = r#"[{"type":"Feature","geometry":{},"properties":{"classification":{"name":"grain"}}}]"#;
        assert_eq!(read("a.geojson", qupath), Some(("GeoJSON", None, owned(&["grain"]), None)));
        let other = r#"{"type":"FeatureCollection","features":[{"geometry":{},"properties":{"phase":"x","n":1}}]}"#;
        assert_eq!(read("a.json", other), Some(("GeoJSON", None, owned(&["x"]), Some("phase".into()))));
        let via = r#"{"a.png12":{"filename":"a.png","regions":[{"region_attributes":{"class":"crack"}}]},
            "b.png3":{"filename":"b.png","regions":[]}}"#;
        assert_eq!(
            read("v.json", via),
            Some(("VIA", Some(owned(&["a.png"])), owned(&["crack"]), Some("class".into())))
        );
        let table = "filename,region_shape_attributes,region_attributes\n\
            a.png,\"{\"\"name\"\":\"\"rect\"\"}\",\"{\"\"class\"\":\"\"crack\"\"}\"\nb.png,{},{}\n";
        let expected = Some(("VIA", Some(owned(&["a.png"])), owned(&["crack"]), Some("class".into())));
        assert_eq!(read("v.csv", table), expected);
        assert_eq!(read("v.csv", &format!("\u{feff}{table}")), expected);
        assert_eq!(read("x.csv", "image,size\na.png,3\n"), None);
        let cvat = r#"<?xml version="1.0"?><annotations><image id="0" name="d/a&amp;b.png"><polygon label="m"/>
            <polygon label="n"/></image><image id="1" name="c.png"></image></annotations>"#;
        assert_eq!(read("c.xml", cvat), Some(("CVAT", Some(owned(&["d/a&b.png"])), owned(&["m", "n"]), None)));
        for text in ["{}", "[]", "3", "{\"a\": 1}", "not json", "<svg></svg>"] {
            assert_eq!(read("x.json", text), None, "{text}");
        }
        assert_eq!(read("x.xml", "<OME></OME>"), None);
    }
}
