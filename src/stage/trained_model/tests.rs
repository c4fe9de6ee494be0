//! What a folder says, from what the manifest says.

use super::*;
use crate::data::{Auto, Color, Crop, Entry, IGNORE, Margin, Sides};

fn manifest(images: &[serde_json::Value]) -> Manifest {
    let entry = |image: &serde_json::Value| -> Entry {
        let mut entry = serde_json::json!({ "image": "a.png", "image_digest": "", "mask": null, "mask_digest": null, "width": 64,
            "height": 48, "channels": 1, "split": "train", "class_pixels": [] });
        entry.as_object_mut().unwrap().extend(image.as_object().unwrap().clone());
        serde_json::from_value(entry).unwrap()
    };
    Manifest {
        annotations: None,
        format: "folder".into(),
        classes: ["matrix", "austenite", "defect"].map(str::to_owned).into(),
        ignore_classes: vec![2],
        label_values: [(0, 0), (128, 1), (200, 2), (255, IGNORE)].into(),
        label_colors: BTreeMap::new(),
        other_color: None,
        is_part: false,
        options: Default::default(),
        images: images.iter().map(entry).collect(),
    }
}

#[test]
fn classes_have_the_values_and_colours_of_the_data_set() {
    let mut manifest = manifest(&[]);
    let values = |manifest: &Manifest| classes::of(manifest).iter().map(|class| class.value).collect::<Vec<_>>();
    assert_eq!(values(&manifest), [0, 128, 200]);
    let found = classes::of(&manifest);
    assert_eq!(found.iter().map(|class| class.ignored).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((found[1].name.as_str(), found[1].color), ("austenite", Color([0xe6, 0x9f, 0x00])), "as in figures");
    // Two values of one class: nobody can say which is meant.
    manifest.label_values.insert(7, 1);
    assert_eq!(values(&manifest), [0, 1, 2]);
    manifest.label_values = BTreeMap::new();
    manifest.label_colors = [(Color([255, 0, 0]), 1), (Color([0, 255, 0]), 2), (Color([0, 0, 9]), 2)].into();
    let found = classes::of(&manifest);
    assert_eq!((values(&manifest), found[1].color), (vec![0, 1, 2], Color([255, 0, 0])));
    assert_eq!(found[2].color, Color([0x56, 0xb4, 0xe9]), "of two colours none is the one");
}

#[test]
fn pixel_sizes_are_one_only_if_all_are_alike() {
    let sizes = |images: &[serde_json::Value]| pixels::sizes(&manifest(images).entries(Split::Train));
    let of = |across: f64, down: f64| serde_json::json!({ "pixel_size": [across, down] });
    assert_eq!(sizes(&[serde_json::json!({})]), (None, None));
    assert_eq!(sizes(&[of(50.0, 50.0), of(50.0, 50.0)]), (Some(50.0), Some([50.0, 50.0])));
    let (one, both) = sizes(&[of(50.0, 50.4), of(50.0, 50.0)]);
    assert!(one.is_some_and(|one| (one - 50.2).abs() < 0.001) && both == Some([50.0, 50.4]));
    assert_eq!(sizes(&[of(50.0, 50.0), of(51.0, 51.0)]), (None, Some([50.0, 51.0])));
    assert_eq!(sizes(&[of(50.0, 50.0), serde_json::json!({})]), (None, Some([50.0, 50.0])));
    let resampled =
        serde_json::json!({ "pixel_size": [50.0, 52.0], "resampled_by": [2.0, 2.0], "resized_from": [128, 96] });
    assert!(sizes(std::slice::from_ref(&resampled)).0.is_some_and(|one| (one - 51.0).abs() < 0.02));
    let notes = |images: &[serde_json::Value]| pixels::resized(&manifest(images).entries(Split::Train));
    assert_eq!(notes(&[resampled]), None);
    let note = notes(&[serde_json::json!({ "resized_from": [128, 96] })]).unwrap();
    assert!(note.starts_with("its training images were resized to 64×48 pixels, whatever their size was"), "{note}");
}

#[test]
fn the_crop_is_known_from_the_manifest() {
    let rule = |images: &[serde_json::Value]| Cropped::AsListed.rule(&manifest(images));
    let cut = |offset: [usize; 2], file: [usize; 2]| serde_json::json!({ "offset": offset, "file_size": file });
    assert_eq!(rule(&[serde_json::json!({ "offset": [0, 3] })]), None, "the own rule of a format");
    let bottom = |pixels| Crop::Sides(Sides { bottom: Some(Margin::Pixels(pixels)), ..Sides::default() });
    assert_eq!(rule(&[cut([0, 0], [64, 60]), cut([0, 0], [64, 60])]), Some(bottom(12)));
    assert_eq!(rule(&[cut([0, 0], [64, 60]), cut([0, 0], [64, 70])]), Some(Crop::Auto(Auto::Auto)));
    let all = Sides { top: Some(2), bottom: Some(Margin::Pixels(3)), left: Some(1), right: Some(4) };
    assert_eq!(rule(&[cut([1, 2], [69, 53])]), Some(Crop::Sides(all)));
    let mut windowed = cut([9, 8], [69, 53]);
    windowed["window_of"] = serde_json::json!([[1, 2], [64, 48]]);
    assert_eq!(rule(&[windowed]), Some(Crop::Sides(all)), "a window is of its own images");
    assert_eq!(Cropped::As(None).rule(&manifest(&[cut([1, 2], [69, 53])])), None);
}
