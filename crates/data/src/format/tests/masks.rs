//! Format `folder`: masks in colours, with palettes, and under other names.

use super::*;
use crate::{ClassColor, Color};

fn in_colors() -> DatasetParams {
    let mut params = folder(&["matrix", "pore"]);
    params.values = None;
    params.colors = Some(
        [("matrix", [0, 0, 255]), ("pore", [255, 0, 0])]
            .map(|(name, rgb)| (name.into(), ClassColor::One(Color(rgb))))
            .into(),
    );
    params.ignore_color = Some(Color([0, 0, 0]));
    params.split = split(0.0, 1.0, 0);
    params
}

fn colored(root: &Path, name: &str, colors: [[u8; 3]; 4]) {
    fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
    RgbImage::from_fn(2, 2, |x, y| Rgb(colors[(2 * y + x) as usize])).save(root.join(name)).unwrap();
}

#[test]
fn colours_are_classes_also_those_of_a_palette() {
    const BLUE: [u8; 3] = [0, 0, 255];
    const RED: [u8; 3] = [255, 0, 0];
    let root = tempfile::tempdir().unwrap();
    for i in 0..3 {
        grey(root.path(), &format!("images/s{i}.png"), (2, 2), i, 9);
    }
    colored(root.path(), "masks/s0.png", [BLUE, RED, [0; 3], RED]);
    colored(root.path(), "masks/s1.bmp", [RED, RED, BLUE, RED]);
    // An indexed png whose colour 0 is red, 1 blue: its indices would say the opposite.
    fs::write(root.path().join("masks/s2.png"), PALETTE).unwrap();
    let params = in_colors();
    assert_eq!(params.check(), Ok(()));
    let manifest = read(&params, root.path()).unwrap();
    let pixels: Vec<&Vec<u64>> = manifest.images.iter().map(|entry| &entry.class_pixels).collect();
    assert_eq!(pixels, [&[1, 2], &[1, 3], &[1, 3]]);

    manifest.write(root.path()).unwrap();
    let path = root.path().join(Manifest::FILE);
    assert!(fs::read_to_string(&path).unwrap().contains("\"#ff0000\": 1"));
    let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
    assert_eq!(open.manifest, manifest);
    let masks: Vec<Vec<u8>> = manifest.images.iter().map(|entry| open.read(entry).unwrap().1.unwrap().labels).collect();
    assert_eq!(masks, [[0, 1, IGNORE, 1], [1, 1, 0, 1], [1, 0, 1, 1]]);

    colored(root.path(), "masks/s0.png", [BLUE, [254, 0, 1], RED, RED]);
    assert_eq!(
        message(&params, root.path()),
        "masks/s0.png: colour #fe0001 at column 1, row 0 has no class; the classes have the colours #000000, #0000ff, #ff0000: \
         correct `colors`, add it to `classes` and `colors`, or set `ignore_color = \"#fe0001\"`"
    );
    grey(root.path(), "masks/s0.jpg", (2, 2), 0, 0);
    fs::remove_file(root.path().join("masks/s0.png")).unwrap();
    assert!(message(&params, root.path()).contains("masks/s0.jpg: a mask stored as jpg"));
}

/// Written by PIL: 2×2, indices 0 1 0 0, palette red, blue.
const PALETTE: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x02\x00\x00\x00\x02\x01\x03\x00\x00\x00Hx\x9fg\x00\x00\x00\x06PLTE\xff\x00\x00\x00\x00\xffl\xa1\xfd\x8e\x00\x00\x00\x0cIDATx\x9ccp``\x00\x00\x00\xc4\x00A\xbd\xa4\xad\xf4\x00\x00\x00\x00IEND\xaeB`\x82";

#[test]
fn masks_may_be_named_by_a_pattern_even_beside_their_images() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..3 {
        grey(root.path(), &format!("images/s{i}.png"), (4, 4), i, 9);
        grey(root.path(), &format!("masks/s{i}_mask.png"), (4, 4), 0, 1);
        grey(root.path(), &format!("flat/s{i}.tif"), (4, 4), i, 9);
        grey(root.path(), &format!("flat/gt s{i} v2.png"), (4, 4), 0, 1);
    }
    grey(root.path(), "flat/no mask.tif", (4, 4), 77, 9);
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.0, 1.0, 0);
    params.mask_pattern = Some("{stem}_mask".into());
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [2, 0, 1, 0]);
    assert_eq!(manifest.images[2].mask.as_deref(), Some("masks/s2_mask.png"));

    grey(root.path(), "masks/s2.png", (4, 4), 0, 1);
    assert_eq!(
        message(&params, root.path()),
        "masks/s2.png: a mask whose name does not fit `mask_pattern` ({stem}_mask); correct `mask_pattern`, or rename the mask"
    );
    params.images = Some("flat".into());
    params.masks = Some("flat".into());
    params.mask_pattern = Some("gt {stem} v2".into());
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [2, 0, 1, 1]);
    assert_eq!(manifest.images[1].mask.as_deref(), Some("flat/gt s0 v2.png"));
}

/// As StarDist, Cellpose and napari save them.
#[test]
fn a_label_image_of_instances_is_refused_as_such() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..2 {
        grey(root.path(), &format!("images/s{i}.png"), (6, 2), i, 9);
    }
    grey(root.path(), "masks/s0.png", (6, 2), 0, 1);
    GrayImage::from_raw(6, 2, vec![0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
        .unwrap()
        .save(root.path().join("masks/s1.png"))
        .unwrap();
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.0, 1.0, 0);
    assert_eq!(
        message(&params, root.path()),
        "masks/s1.png: its values 1 to 5 look like numbers of objects (instances), not of classes; save the class of each \
         object as its value, e.g. 1 for all objects of one class"
    );
}

#[test]
fn impossible_colours_and_patterns_are_refused() {
    let check = |text: &str| toml::from_str::<DatasetParams>(text).unwrap().check().map_err(|error| error.to_string());
    let head = "format = \"folder\"\npath = \"x\"\nclasses = [\"a\", \"b\"]\n";
    assert_eq!(check(&format!("{head}colors = {{ a = \"#000000\", b = [1, 2, 3] }}")), Ok(()));
    let cases = [
        ("colors = { a = \"#000000\" }", "`colors`: no colour for \"b\": give one for each class"),
        ("colors = { a = \"#000000\", b = \"#000001\", c = \"#000002\" }", "`colors`: \"c\" is not among `classes`"),
        ("colors = { a = \"#0000FF\", b = [0, 0, 255] }", "`colors`: \"a\" and \"b\" are both #0000ff"),
        (
            "colors = { a = \"#000000\", b = \"#000001\" }\nvalues = [0, 1]",
            "`values`: masks hold either label values or colours: leave out this or `colors`",
        ),
        (
            "colors = { a = \"#000000\", b = \"#000001\" }\nignore_color = \"#000001\"",
            "`ignore_color`: is also the colour of \"b\"",
        ),
        ("ignore_color = \"#000001\"", "`ignore_color`: needs `colors`; for label values use `ignore_label`"),
        ("mask_pattern = \"_mask\"", "`mask_pattern`: needs {stem} once, e.g. \"{stem}_mask\""),
        ("group = \"(a\"", "`group`: not a regular expression: unclosed group"),
        (
            "band = 3",
            "`band`: format `folder` takes only: images, masks, mask_pattern, annotations, background, names, \
             overlap, without_shapes, attribute, unlabeled, classes, values, colors, ignore_label, ignore_color, ignore_classes, \
             split, test_images, val_images, group, splits, recursive",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(check(&format!("{head}{line}")).unwrap_err(), expected);
    }
    // Unused, these parameters add nothing to the JSON, so that old keys stay as they were.
    let json = serde_json::to_string(&folder(&["a", "b"])).unwrap();
    assert_eq!(json, r#"{"format":"folder","path":"","images":"images","masks":"masks","classes":["a","b"]}"#);
}
