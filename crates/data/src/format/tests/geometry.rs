//! `crop`, `pixel_size` and `resample`: what is read of each image and mask, and what the manifest says of it.

use super::*;
use crate::survey::survey;
use crate::test_tiff::{TestTiff, Value};
use crate::{Crop, Margin, PixelSizes, Sides};

const WIDTH: u32 = 96;

fn fei(pixel: &str, rows: u32, bar: u32) -> Value {
    Value::Text(
        format!(
            "[Scan]\r\nPixelWidth={pixel}\r\nPixelHeight={pixel}\r\n[Image]\r\nResolutionX={WIDTH}\r\nResolutionY={rows}\r\n\
             [PrivateFei]\r\nDatabarHeight={bar}\r\n"
        )
        .into(),
    )
}

/// One black image with a white block from (40, 20) to (60, 40), of 64 rows and a bar of 8, and its mask of `rows` rows.
fn with_block(root: &Path, name: &str, pixel: &str, rows: u32) {
    let inside = |x: u32, y: u32| (40..60).contains(&x) && (20..40).contains(&y);
    let tiff = TestTiff::new(WIDTH, 72, |x, y| if y >= 64 || inside(x, y) { 255 } else { name.len() as u8 });
    write(root, &format!("images/{name}.tif"), &tiff.with(34_682, fei(pixel, 64, 8)).bytes());
    mask_of(root, name, (WIDTH, rows), inside);
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn mask_of(root: &Path, name: &str, (width, height): (u32, u32), inside: impl Fn(u32, u32) -> bool) {
    fs::create_dir_all(root.join("masks")).unwrap();
    let mask = GrayImage::from_fn(width, height, |x, y| Luma([u8::from(inside(x, y))]));
    mask.save(root.join(format!("masks/{name}.png"))).unwrap();
}

fn params(more: &str) -> DatasetParams {
    let text = format!("format = \"folder\"\npath = \"x\"\nclasses = [\"a\", \"b\"]\ntest_images = []\n{more}");
    let params: DatasetParams = toml::from_str(&text).unwrap();
    assert_eq!(params.check(), Ok(()), "{more}");
    params
}

fn open(manifest: &Manifest, root: &Path) -> OpenDataset {
    OpenDataset::new(manifest.clone(), Root::Folder(root.into()))
}

#[test]
fn an_info_bar_is_cut_by_its_metadata_or_by_hand() {
    let root = tempfile::tempdir().unwrap();
    with_block(root.path(), "a", "1e-8", 72);
    // This mask has no rows of the bar.
    with_block(root.path(), "bb", "1e-8", 64);
    for crop in ["crop = \"auto\"", "crop = { bottom = \"auto\" }", "crop = { bottom = 8 }"] {
        let manifest = read(&params(crop), root.path()).unwrap();
        for entry in &manifest.images {
            assert_eq!((entry.width, entry.height, entry.file_size), (96, 64, Some((96, 72))), "{crop}");
            assert_eq!((entry.offset, entry.resized_from), (None, None));
            assert_eq!(entry.class_pixels, [96 * 64 - 400, 400]);
            let (image, mask) = open(&manifest, root.path()).read(entry).unwrap();
            let white = image.pixels.iter().map(|&value| u8::from(value == 255));
            assert_eq!(white.collect::<Vec<_>>(), mask.unwrap().labels);
        }
        let survey = survey(&manifest, &|_| None);
        assert_eq!(survey.crops_in_words().unwrap(), "8 px at the bottom");
    }
    // All four sides.
    with_block(root.path(), "bb", "1e-8", 72);
    let manifest = read(&params("crop = { bottom = 8, top = 10, left = 30, right = 16 }"), root.path()).unwrap();
    let entry = &manifest.images[0];
    assert_eq!((entry.width, entry.height, entry.offset), (50, 54, Some((30, 10))));
    let (image, mask) = open(&manifest, root.path()).read(entry).unwrap();
    assert_eq!(image.pixels.iter().position(|&value| value == 255), Some(10 * 50 + 10));
    assert_eq!(mask.unwrap().labels.iter().position(|&label| label == 1), Some(10 * 50 + 10));
    let survey = survey(&manifest, &|_| None);
    assert_eq!(
        survey.crops_in_words().unwrap(),
        "8 px at the bottom, 10 px at the top, 30 px on the left, 16 px on the right"
    );
}

#[test]
fn a_bar_that_nothing_is_known_of_is_refused_with_the_cure() {
    let root = tempfile::tempdir().unwrap();
    grey(root.path(), "images/a.png", (96, 72), 3, 4);
    grey(root.path(), "masks/a.png", (96, 64), 0, 1);
    let text = message(&params("crop = \"auto\""), root.path());
    assert!(
        text.ends_with(
            ": `crop` is \"auto\", and the height of the info bar is not known for 1 of 1 images: images/a.png (its metadata \
             say nothing of an info bar); give the height of the bar: `crop = { bottom = N }`"
        ),
        "{text}"
    );
    assert_eq!(
        message(&params("crop = { bottom = 40, top = 32 }"), root.path()),
        "images/a.png: is 96×72, and `crop` leaves nothing of it; correct `crop`: the margins must be smaller than the image"
    );
    assert_eq!(
        message(&params(""), root.path()),
        "masks/a.png: is 96×64, its image 96×72; if the lowest 8 rows of the image are an info bar, set `crop = { bottom = 8 \
         }` for the data set; otherwise export the mask at the size of its image"
    );
    assert_eq!(read(&params("crop = { bottom = 8 }"), root.path()).unwrap().images[0].class_pixels, [96 * 64 - 1, 1]);
    assert_eq!(
        message(&params("crop = { bottom = 9 }"), root.path()),
        "masks/a.png: is 96×64, its image 96×72, of which 96×63 are used; if the lowest 8 rows of the image are an info bar, \
         set `crop = { bottom = 8 }` for the data set; otherwise export the mask at the size of its image"
    );
}

#[test]
fn the_size_of_a_pixel_is_in_the_manifest_and_the_experiment_overrules_it() {
    let root = tempfile::tempdir().unwrap();
    with_block(root.path(), "a", "1.25e-8", 72);
    with_block(root.path(), "bb", "2.5e-8", 72);
    with_block(root.path(), "ccc", "2.5e-8", 72);
    grey(root.path(), "images/d.png", (8, 6), 1, 2);
    let sizes = |more: &str| {
        let manifest = read(&params(more), root.path()).unwrap();
        let words = survey(&manifest, &|_| None).pixel_sizes_in_words();
        (manifest.images.iter().map(|entry| entry.pixel_size.map(|[x, _]| x)).collect::<Vec<_>>(), words.unwrap())
    };
    assert_eq!(
        sizes(""),
        (
            vec![Some(12.5), Some(25.0), Some(25.0), None],
            "25 nm (2), 12.5 nm (1), unknown (1); from FEI metadata".into()
        )
    );
    assert_eq!(sizes("pixel_size = \"0.05 µm\""), (vec![Some(50.0); 4], "50 nm; from the experiment".into()));
    assert_eq!(
        sizes("pixel_size = { a = \"1 nm\", \"bb.tif\" = \"10 µm / 500 px\" }").0,
        [Some(1.0), Some(20.0), Some(25.0), None]
    );
    assert_eq!(sizes("pixel_size = { a = \"1 nm\", \"*\" = \"2 nm\" }").0, [1.0, 2.0, 2.0, 2.0].map(Some));
    assert!(
        message(&params("pixel_size = { e = \"1 nm\" }"), root.path())
            .ends_with("has no image named e, which `pixel_size` names; correct `pixel_size`")
    );
    // Resized images have other pixels, which may not be square.
    let manifest = read(&params("resize = 48"), root.path()).unwrap();
    assert_eq!(manifest.images[0].pixel_size, Some([25.0, 18.75]));
    // A data set of which nothing is known has the manifest that it had.
    let root = my_steel();
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.2, 3.0, 0);
    let text = serde_json::to_string(&read(&params, root.path()).unwrap()).unwrap();
    for field in ["pixel_size", "offset", "file_size", "resampled_by"] {
        assert!(!text.contains(field), "{field}");
    }
    let text = serde_json::to_string(&params).unwrap();
    assert!(!text.contains("crop") && !text.contains("resample") && !text.contains("pixel_size"), "keys stay: {text}");
}

#[test]
fn resampling_brings_all_images_to_one_size_of_a_pixel() {
    let root = tempfile::tempdir().unwrap();
    with_block(root.path(), "a", "1e-8", 72);
    with_block(root.path(), "bb", "4e-8", 64);
    let params = params("crop = \"auto\"\nresample = \"20 nm\"");
    let manifest = read(&params, root.path()).unwrap();
    let open = open(&manifest, root.path());
    let [a, b] = [&manifest.images[0], &manifest.images[1]];
    assert_eq!((a.width, a.height, a.resized_from, a.resampled_by), (48, 32, Some((96, 64)), Some([2.0, 2.0])));
    assert_eq!((b.width, b.height, b.resized_from, b.resampled_by), (192, 128, Some((96, 64)), Some([0.5, 0.5])));
    for (entry, start, end) in [(a, (20, 10), (30, 20)), (b, (80, 40), (120, 80))] {
        assert_eq!(entry.pixel_size, Some([20.0, 20.0]));
        let inside = (end.0 - start.0) * (end.1 - start.1);
        assert_eq!(entry.class_pixels[1], inside as u64);
        let (image, mask) = open.read(entry).unwrap();
        let (width, mask) = (entry.width, mask.unwrap());
        assert_eq!((image.width, image.height, mask.width, mask.height), (width, entry.height, width, entry.height));
        // The bar, which is white, is in none of them; block and label are at the same place.
        let place = |x: usize, y: usize| (start.0..end.0).contains(&x) && (start.1..end.1).contains(&y);
        for i in 0..mask.labels.len() {
            assert_eq!(mask.labels[i] == 1, place(i % width, i / width));
            assert_eq!(image.pixels[i] > 127, mask.labels[i] == 1, "{} {}", i % width, i / width);
        }
        // As it was taken, for the search for leaks.
        let taken = open.read_image(&entry.as_taken()).unwrap();
        assert_eq!((taken.width, taken.height), (96, 64));
    }
    assert_eq!(survey(&manifest, &|_| None).pixel_sizes_in_words().unwrap(), "20 nm; from FEI metadata");
    // Pixels that are as large already are left alone.
    let same = read(&super::geometry::params("resample = \"10 nm\"\npixel_size = \"1e-8 m\""), root.path());
    assert!(same.unwrap_err().to_string().contains("masks/bb.png: is 96×64"));
    let same =
        read(&super::geometry::params("crop = \"auto\"\nresample = \"10 nm\"\npixel_size = \"1e-8 m\""), root.path());
    assert!(same.unwrap().images.iter().all(|e| e.resized_from.is_none() && e.pixel_size == Some([10.0, 10.0])));
}

#[test]
fn pixels_that_are_not_square_become_so() {
    let root = tempfile::tempdir().unwrap();
    let text = "[Scan]\nPixelWidth=1e-8\nPixelHeight=2e-8\n";
    let tiff = TestTiff::new(96, 64, |x, _| (x / 48) as u8 * 200).with(34_680, Value::Text(text.into()));
    write(root.path(), "images/a.tif", &tiff.bytes());
    mask_of(root.path(), "a", (96, 64), |x, _| x >= 48);
    let manifest = read(&params("resample = \"20 nm\""), root.path()).unwrap();
    let entry = &manifest.images[0];
    assert_eq!((entry.width, entry.height, entry.resampled_by), (48, 64, Some([2.0, 1.0])));
    assert_eq!((entry.pixel_size, &entry.class_pixels), (Some([20.0, 20.0]), &vec![24 * 64, 24 * 64]));
    let unknown = read(&params(""), root.path()).unwrap();
    assert_eq!(survey(&unknown, &|_| None).pixel_sizes_in_words().unwrap(), "10 nm × 20 nm; from FEI metadata");
}

#[test]
fn resampling_without_a_size_names_the_images_once() {
    let root = my_steel();
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.2, 3.0, 0);
    params.resample = Some("50 nm".to_owned().try_into().unwrap());
    assert!(
        message(&params, root.path()).ends_with(
            "`resample` needs the size of a pixel, which is not known for 12 of 12 images: images/s00.tif, images/s01.tif, \
             images/s02.tif, images/s03.tif, images/s04.tif and 7 more; give `pixel_size`, for all images or as a table by \
             image"
        ),
        "{}",
        message(&params, root.path())
    );
    for (of_file, words) in [
        ("10 nm", "has 8×6 pixels of 10 nm, and would have 2×1 of 50 nm; expected at least 8 pixels a side"),
        ("1 mm", "has 8×6 pixels of 1 mm, and would have 160000×120000 of 50 nm; expected at most 400 megapixels"),
    ] {
        params.pixel_size = Some(PixelSizes::All(of_file.to_owned().try_into().unwrap()));
        let text = message(&params, root.path());
        assert!(text.contains(words), "{text}");
    }
    // The reason is told where there is one.
    let root = tempfile::tempdir().unwrap();
    let tiff = TestTiff::flat(48, 32).with(34_682, fei("1e-8", 64, 0));
    write(root.path(), "images/a.tif", &tiff.bytes());
    mask_of(root.path(), "a", (48, 32), |x, _| x > 3);
    let text = message(&super::geometry::params("resample = \"20 nm\""), root.path());
    assert!(
        text.contains("not known for 1 of 1 images: images/a.tif (its FEI metadata are of an image 96 pixels wide, and this one has 48)"),
        "{text}"
    );
}

#[test]
fn side_files_are_files_of_the_data_set_and_no_images() {
    let root = my_steel();
    let hitachi = |size: &str| format!("[SemImageFile]\r\nPixelSize={size}\r\nDataSize=8x6\r\n");
    write(root.path(), "images/s03.txt", hitachi("24.8").as_bytes());
    write(root.path(), "images/s04.txt", b"a note");
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.2, 3.0, 0);
    let listed = files(&params, root.path()).unwrap();
    let texts: Vec<&str> = listed.iter().map(|file| file.name.as_str()).filter(|name| name.ends_with("txt")).collect();
    assert_eq!(texts, ["images/s03.txt"]);
    let manifest = scan(&params, root.path(), &listed, &|_, _| {}).unwrap();
    assert_eq!(manifest.images.len(), 12);
    let known: Vec<_> =
        manifest.images.iter().filter_map(|e| Some((e.stem(), e.pixel_size?, e.pixel_size_from.as_deref()?))).collect();
    assert_eq!(known, [("s03", [24.8, 24.8], "Hitachi")]);
    // The side file is held to its hash, as all files are.
    write(root.path(), "images/s03.txt", hitachi("25.8").as_bytes());
    let changed = scan(&params, root.path(), &listed, &|_, _| {}).unwrap_err().to_string();
    assert!(changed.contains("images/s03.txt: changed since"), "{changed}");
}

#[test]
fn contradictions_between_parameters_are_refused() {
    let check = |more: &str| {
        let text = format!("format = \"folder\"\npath = \"x\"\nclasses = [\"a\", \"b\"]\n{more}");
        toml::from_str::<DatasetParams>(&text).unwrap().check().unwrap_err()
    };
    assert_eq!(check("resample = \"50 nm\"\nresize = 64").param, "resize");
    assert_eq!(check("crop = { bottom = 0 }").param, "crop");
    let mut uhcs = DatasetParams::of(Format::Uhcs, "x");
    uhcs.band = Some(38);
    uhcs.crop = Some(toml::from_str::<std::collections::BTreeMap<String, Crop>>("c = { bottom = 38 }").unwrap()["c"]);
    assert_eq!(uhcs.check().unwrap_err().param, "band");
}

/// Neither of the two has metadata of a microscope: what is read of them does not change.
#[test]
fn published_micrographs_have_no_size_of_a_pixel() {
    let Ok(data) = std::env::var("MATSSL_DATA") else {
        println!("skipped: MATSSL_DATA is not set");
        return;
    };
    for (params, images) in [
        (DatasetParams::of(Format::Metaldam, Path::new(&data).join("metaldam/MetalDAM")), 75),
        (DatasetParams::of(Format::Ebc, Path::new(&data).join("ebc/EBC2")), 10),
    ] {
        let root = params.path.clone();
        let manifest = read(&params, &root).unwrap();
        assert_eq!(manifest.images.len(), images);
        assert!(manifest.images.iter().all(|entry| entry.pixel_size.is_none() && entry.offset.is_none()));
        // The image's own bar is 65 rows or more, so this is its format's crop.
        assert_eq!(params.crop_of_others().is_some(), params.format == Format::Metaldam);
        if params.format == Format::Metaldam {
            assert_eq!(params.crop_of_others(), Some(Crop::Sides(bottom(65))));
            let by_hand = DatasetParams { crop: Some(Crop::Sides(bottom(65))), ..params };
            let one = read(&by_hand, &root);
            // One label has a row less than the others.
            let text = one.unwrap_err().to_string();
            assert!(text.contains("is 1024×702, its image 1024×768, of which 1024×703 are used"), "{text}");
        }
    }
}

fn bottom(rows: usize) -> Sides {
    Sides { bottom: Some(Margin::Pixels(rows)), ..Sides::default() }
}
