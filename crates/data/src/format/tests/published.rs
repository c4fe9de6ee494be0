//! Aachen–Heerlen, UHCS and the MatSSL authors' copies of EBC, on small made files of the published layouts.

use super::*;

/// Ten lines of the published table, over five images, as they are there (some corners left out).
const EXCERPT: &str = "image_url;point;polygon\r
IMG_01457.png;(881, 523);[(871, 542), (859, 527), (848, 526), (858, 509), (899, 510), (900, 515), (914, 526)]\r
IMG_01457.png;(520, 737);[(511, 717), (556, 721), (556, 729), (536, 734), (517, 759), (502, 749), (479, 730)]\r
IMG_00003.png;(4, 4);[(-2, -1), (9, -1), (9, 9), (-2, 9)]\r
IMG_00003.png;(6, 6);[(5, 5), (12, 5), (12, 12), (5, 12)]\r
IMG_00007.png;(582, 474);[(582.875, 474.5833333333333), (590.0, 473.0), (610.0, 458.0), (626.0, 437.0)]\r
IMG_00008.png;(1000, 760);[(990, 750), (1023, 750), (1023, 768), (990, 768)]\r
IMG_00009.png;(30, 30);[(20, 20), (40, 20), (40, 40), (20, 40)]\r
";
const METADATA: &str = "image_url,type,temperature,direction,distance,magnification,angle\r
IMG_00003.png,01,500,Horizontal,0.0,4000,perpendicular\r
IMG_00007.png,01,500,Horizontal,0.1,4000,perpendicular\r
IMG_00008.png,CFB2,400,Vertical,3.0,4000,tilt\r
IMG_00009.png,CFB2,400,Vertical,6.0,4000,tilt\r
IMG_01457.png,10,400,Vertical,6.0,4000,perpendicular\r
IMG_02000.png,CFB2,400,Vertical,6.0,4000,tilt\r
IMG_02001.png,10,400,Vertical,6.0,4000,tilt\r
";

fn aachen() -> (TempDir, DatasetParams) {
    let root = tempfile::tempdir().unwrap();
    for (i, name) in ["01457", "00003", "00007", "00008", "00009", "02000", "02001"].iter().enumerate() {
        grey(root.path(), &format!("PNG/IMG_{name}.png"), (1024, 768), 90 + i as u8, 3);
    }
    fs::write(root.path().join(aachen::POLYGONS), EXCERPT).unwrap();
    fs::write(root.path().join(aachen::METADATA), METADATA).unwrap();
    let mut params = DatasetParams::of(Format::Aachen, "");
    params.split = split(0.0, 2.0, 0);
    (root, params)
}

#[test]
fn aachen_masks_are_drawn_from_the_published_table_and_the_same_when_opened_again() {
    let (root, params) = aachen();
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [3, 0, 2, 2]);
    assert_eq!(manifest.classes, ["rest", "object"]);
    let entry = |name: &str| manifest.images.iter().find(|entry| entry.stem() == name).unwrap();
    // Squares of 10×10 (clipped) and 8×8 pixels that share 5×5; and one that ends at the image's corner.
    assert_eq!(entry("IMG_00003").class_pixels, [1024 * 768 - 139, 139]);
    assert_eq!(entry("IMG_00008").class_pixels[1], 34 * 18);
    assert_eq!((entry("IMG_02000").split, &entry("IMG_02000").mask), (Split::Unlabeled, &None));
    assert_eq!(entry("IMG_00003").mask.as_deref(), Some(aachen::POLYGONS));

    manifest.write(root.path()).unwrap();
    let path = root.path().join(Manifest::FILE);
    for _ in 0..2 {
        let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
        let (image, mask) = open.read(entry("IMG_00003")).unwrap();
        let mask = mask.unwrap();
        assert_eq!((image.width, mask.width, mask.height), (1024, 1024, 768));
        assert_eq!(mask.labels[..14], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(mask.labels[9 * 1024..9 * 1024 + 14], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(mask.labels.iter().filter(|&&label| label == 1).count(), 139);
    }
    let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
    fs::write(root.path().join(aachen::POLYGONS), EXCERPT.replace("(9, 9)", "(8, 9)")).unwrap();
    let error = open.read(entry("IMG_00003")).unwrap_err().to_string();
    assert!(
        error.ends_with("_polygon.csv: changed since the data set was checked; run the experiment again, which checks the data set again"),
        "{error}"
    );
}

#[test]
fn missing_images_and_tables_of_aachen_are_named() {
    let (root, mut params) = aachen();
    for name in ["00007", "00009"] {
        fs::remove_file(root.path().join(format!("PNG/IMG_{name}.png"))).unwrap();
    }
    let error = read(&params, root.path()).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let text = error.to_string().replace(&format!("{}/", root.path().display()), "");
    assert_eq!(
        text,
        "2 files (PNG/IMG_00007.png, IMG_00009.png): not there; the table has annotations for it: download the images again"
    );
    grey(root.path(), "PNG/IMG_00007.png", (1024, 768), 7, 3);
    grey(root.path(), "PNG/IMG_00009.png", (1024, 30), 9, 3);
    let text = message(&params, root.path());
    assert!(
        text.contains("a corner at (40, 40) is far outside of PNG/IMG_00009.png, which is 1024×30; use the"),
        "{text}"
    );
    fs::remove_file(root.path().join(aachen::POLYGONS)).unwrap();
    assert_eq!(
        message(&params, root.path()),
        "nature_scidata_heerlen_aachen_steel_annotations_polygon.csv: not there; `path` must hold the two published tables, \
         and the images in PNG, images or beside the tables"
    );
    fs::remove_dir_all(root.path().join("PNG")).unwrap();
    let error = read(&params, root.path()).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("PNG: not there; `path` must hold"), "{error}");
    params.images = Some("tif".into());
    assert_eq!(message(&params, root.path()), "tif: not there; correct `images`");
}

#[test]
fn aachen_specimens_stay_together_by_columns_of_the_metadata() {
    let (root, mut params) = aachen();
    params.group = Some("type+temperature".into());
    let specimen = |stem: &str| match stem {
        "IMG_00003" | "IMG_00007" => "01+500",
        "IMG_00008" | "IMG_00009" | "IMG_02000" => "CFB2+400",
        _ => "10+400",
    };
    for seed in 0..8 {
        params.split = split(0.0, 2.0, seed);
        let manifest = read(&params, root.path()).unwrap();
        let [train, test, unlabeled] = [Split::Train, Split::Test, Split::Unlabeled].map(|split| {
            let stems = manifest.entries(split).into_iter().map(|entry| specimen(entry.stem()));
            stems.collect::<std::collections::BTreeSet<&str>>()
        });
        assert!(train.is_disjoint(&test) && !test.is_empty() && train.len() + test.len() == 3, "{manifest:?}");
        // The unlabelled image of a test specimen is left out.
        assert!(unlabeled.is_subset(&train), "{manifest:?}");
    }
    params.group = Some("type+kind".into());
    assert_eq!(
        message(&params, root.path()),
        "nature_scidata_steel_metadata.csv: has no column `kind`, which `group` names; join some of type, temperature, \
         direction, distance, magnification, angle by +"
    );
    params.split = None;
    params.test_images = Some(vec!["IMG_00008".into()]);
    params.group = Some("type".into());
    assert_eq!(
        message(&params, root.path()),
        "PNG/IMG_00009.png: shows the specimen CFB2, as PNG/IMG_00008.png does, which is named; name all images of a \
         specimen or none"
    );
}

/// The published table alone: the images themselves are not needed.
#[test]
fn all_published_annotations_make_a_data_set_of_1403_and_302() {
    let Ok(data) = std::env::var("MATSSL_DATA") else {
        println!("skipped: MATSSL_DATA is not set");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let mut stems = std::collections::BTreeSet::new();
    for table in [aachen::POLYGONS, aachen::METADATA] {
        let text = fs::read_to_string(Path::new(&data).join("aachen").join(table)).unwrap();
        if table == aachen::POLYGONS {
            stems.extend(
                text.lines().skip(1).filter_map(|line| line.split_once(".png")).map(|(stem, _)| stem.to_owned()),
            );
        }
        fs::write(root.path().join(table), text).unwrap();
    }
    // Each its own grey, so that no two are the same file.
    let list = |seed: u64, group: Option<&str>| {
        let mut params = DatasetParams::of(Format::Aachen, "");
        params.split = split(0.0, 302.0, seed);
        params.group = group.map(Into::into);
        let names: Vec<String> = stems.iter().map(|stem| format!("PNG/{stem}.png")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push(aachen::POLYGONS);
        let layout = reader::reader(Format::Aachen).layout(&params, root.path(), &names).unwrap();
        let count = |split| layout.images.iter().filter(|image| image.split == split).count();
        (count(Split::Train), count(Split::Test))
    };
    assert_eq!(list(0, None), (1403, 302));
    for group in ["type", "type+temperature+direction", "type+temperature+direction+distance"] {
        let counts: Vec<(usize, usize)> = (0..5).map(|seed| list(seed, Some(group))).collect();
        println!("aachen by {group}: {counts:?}");
        assert!(counts.iter().all(|(train, test)| train + test == 1705 && (200..450).contains(test)), "{counts:?}");
    }
}

#[test]
fn uhcs_is_cut_to_484_rows_and_other_sizes_need_a_parameter() {
    let root = tempfile::tempdir().unwrap();
    grey(root.path(), "micrographs/micrograph1.png", (645, 522), 1, 9);
    grey(root.path(), "micrographs/micrograph2.tif", (645, 522), 2, 9);
    grey(root.path(), "micrographs/micrograph3.jpg", (645, 484), 3, 3);
    fs::write(root.path().join("microstructures.sqlite"), "SQLite format 3").unwrap();
    let mut params = DatasetParams::of(Format::Uhcs, "");
    assert_eq!(params.check(), Ok(()));
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!((by_split(&manifest), manifest.classes.len()), ([0, 0, 0, 3], 0));
    assert!(manifest.images.iter().all(|entry| (entry.width, entry.height) == (645, 484)));
    let open = OpenDataset::new(manifest.clone(), Root::Folder(root.path().into()));
    assert_eq!(open.read(&manifest.images[1]).unwrap().0.pixels.len(), 645 * 484);
    // As flat as it gets: images beside the database.
    let flat = root.path().join("micrographs");
    assert_eq!(read(&params, &flat).unwrap().images.len(), 3);

    grey(root.path(), "micrographs/micrograph4.png", (1024, 768), 4, 9);
    assert_eq!(
        message(&params, root.path()),
        "micrographs/micrograph4.png: is 1024×768, not 645×522 nor 645×484; set `band` to the rows of the info band in such \
         images, or name it in `exclude`"
    );
    params.band = Some(68);
    assert_eq!(read(&params, root.path()).unwrap().images[3].height, 700);
    params.band = None;
    params.exclude = Some(vec!["micrograph4".into()]);
    assert_eq!(read(&params, root.path()).unwrap().images.len(), 3);
    params.exclude = Some(vec!["micrograph9.png".into()]);
    assert!(
        message(&params, root.path())
            .ends_with("has no image named micrograph9.png, which `exclude` names; correct `exclude`")
    );
}

#[test]
fn the_authors_copies_of_ebc_are_read() {
    let root = tempfile::tempdir().unwrap();
    for (i, split) in ["train", "val", "test"].iter().enumerate() {
        grey(root.path(), &format!("{split}/inputs/a#1.png"), (10, 10), i as u8, 9);
        grey(root.path(), &format!("{split}/targets/a#1.png"), (10, 10), 1, 2);
        grey(root.path(), &format!("{split}/visualized/a#1.png"), (10, 10), 1, 2);
    }
    let params = DatasetParams::of(Format::Ebc, "");
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!((by_split(&manifest), manifest.class_pixels(Split::Test)), ([1, 1, 1, 0], vec![0, 99, 1]));
    fs::remove_file(root.path().join("val/targets/a#1.png")).unwrap();
    grey(root.path(), "val/targets/b.png", (10, 10), 1, 2);
    assert!(message(&params, root.path()).starts_with("val/targets/b.png: a mask without an image (no b.png"));
    grey(root.path(), "val/inputs/b.png", (10, 10), 7, 2);
    assert_eq!(
        message(&params, root.path()),
        "val/inputs/a#1.png: has no mask of the same stem in val/targets; download the data set again"
    );
}
