//! `data` on a folder with thirty different things in it, as a user sees it. The texts are snapshots.

mod common;
use common::Project;
use common::steel::{micrograph, png, small_experiment, steel};
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use std::io::Cursor;
use std::path::Path;

const EXPERIMENT: &str = r#"
name = "experiment"

[datasets.mine]
format  = "folder"
path    = "mine"
classes = ["matrix", "pores"]
split   = { test = 2, val = 1, seed = 0 }

[stages.patches]
kind = "patchify"
dataset = "mine"
size = 16

[stages.segment]
kind = "finetune"
dataset = "mine"
encoder = { arch = "resnet18", width = 8, weights = "random" }
crop_size = 32
epochs = 1

[stages.test]
kind = "evaluate"
dataset = "mine"
model = "segment"
"#;

/// Read right.
const READ: [&str; 26] = [
    "turned6.jpg",
    "turned2.tif",
    "turned3.png",
    "big_tiff.tif",
    "planar_tiles.tif",
    "planar_strips.tif",
    "fill_order_8.tif",
    "fill_order_lzw.tif",
    "ramp_palette.tif",
    "ramp_palette_lzw.tif",
    "bits1.tif",
    "bits2.tif",
    "bits4.tif",
    "ccitt_group4.tif",
    "palette.png",
    "palette4.bmp",
    "palette_rle.bmp",
    "interlaced.png",
    "jpeg_grey.tif",
    "jpeg_tiles.tif",
    "rgb.jpg",
    "progressive.jpg",
    "thumbnail_first.tif",
    "pyramid.ome.tif",
    "imagej_one_of_stack.tif",
    "grey_alpha.tif",
];

/// Refused with the cause and the cure.
const REFUSED: [&str; 18] = [
    "imagej_stack.tif",
    "three_pages.tif",
    "float32.tif",
    "int16_negative.tif",
    "two_channels.tif",
    "twelve.jpg",
    "lossless.jpg",
    "cmyk.jpg",
    "lab.tif",
    "zstd.tif",
    "rgb_transparent_seen.png",
    "animated.png",
    "is_webp.png",
    "lfs.png",
    "annex.tif",
    "page.png",
    "empty.png",
    "zeros.png",
];

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/data/tests/files").join(name)).unwrap()
}

/// A user's folder: images of all kinds, masks of four of them, and what lies around in such folders.
fn folder(files: &[&str]) -> Project {
    let project = Project::new(EXPERIMENT);
    for name in files {
        project.write(&format!("mine/images/{name}"), file(name));
    }
    let mask = |width, height| png(&GrayImage::from_fn(width, height, |x, _| Luma([u8::from(x < 5)])));
    for (name, width, height) in
        [("turned2", 27, 18), ("turned3", 27, 18), ("big_tiff", 27, 18), ("rgb", 27, 18), ("bits4", 27, 18)]
    {
        project.write(&format!("mine/masks/{name}.png"), mask(width, height));
    }
    project.write("mine/images/scan.czi", "ZISRAWFILE");
    project.write("mine/images/notes.docx", "PK");
    project.write("mine/images/overview.gif", "GIF89a");
    project.write("mine/images/._turned2.tif", "AppleDouble");
    project.write("mine/images/Thumbs.db", "");
    project.write("mine/images/old/turned4.tif", file("turned4.tif"));
    project
}

fn told(project: &Project, text: &str) -> String {
    text.replace(&project.path("").display().to_string(), "")
}

#[test]
fn what_can_be_read_is_counted_and_what_is_passed_over_is_said() {
    let project = folder(&READ);
    let done = project.run(&["data", "experiment.toml", "--quiet"]);
    insta::assert_snapshot!(
        "read",
        told(&project, &format!("{}{}exit code {:?}\n", done.stdout, done.stderr, done.code))
    );
}

#[test]
fn what_cannot_be_read_is_named_with_its_cause_and_cure() {
    let project = folder(&[READ.as_slice(), &REFUSED].concat());
    let done = project.run(&["data", "experiment.toml", "--quiet"]);
    insta::assert_snapshot!(
        "refused",
        told(&project, &format!("{}{}exit code {:?}\n", done.stdout, done.stderr, done.code))
    );
    let run = project.run(&["experiment.toml", "--quiet"]);
    assert_eq!(run.code, Some(5));
    // A link to nothing, as of data that was not pulled.
    std::os::unix::fs::symlink("../../.dvc/cache/ab/cdef", project.path("mine/images/pulled.tif")).unwrap();
    let done = project.run(&["data", "experiment.toml", "--quiet"]);
    insta::assert_snapshot!(
        "link",
        told(&project, &format!("{}{}exit code {:?}\n", done.stdout, done.stderr, done.code))
    );
}

/// Two of three channels, from the files to the scores.
#[test]
fn two_channels_are_trained_on_and_scored() {
    let in_channels = |text: String| text.replace("width = 8,", "width = 8, in_channels = 2,");
    let channels = small_experiment().replace("path    = \"steel\"", "path    = \"steel\"\nchannels = [0, 2]");
    let project = steel(&in_channels(channels.clone()));
    // The third channel shows something else, the second nothing that is read.
    let names = ["images/t-0", "images/t-1", "images/v-0", "images/a-0", "images/a-1", "images/a-2"];
    let names = names.into_iter().chain(["unlabeled/u-0", "unlabeled/u-1", "unlabeled/u-2", "unlabeled/u-3"]);
    for (i, name) in names.enumerate() {
        let (red, blue) = (micrograph(i as u32), micrograph(1000 + i as u32));
        let image = RgbImage::from_fn(240, 240, |x, y| Rgb([red.get_pixel(x, y)[0], 7, blue.get_pixel(x, y)[0]]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        project.write(&format!("steel/{name}.png"), bytes.into_inner());
    }
    project.run(&["experiment.toml"]).ok();
    // A network of three channels is refused before any training.
    project.write("experiment.toml", channels);
    let refused = project.run(&["experiment.toml"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    let expected = "has 2 channels, but the network takes 3 channels (`in_channels = 3`): set `in_channels = 2` in the";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}
