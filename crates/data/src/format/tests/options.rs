//! How image files are read (`bits`, `range`, `page`, `channels`), and how they are turned: from the parameters to the manifest.

use super::*;
use crate::survey::survey;

/// One of the files that `generate.py` made.
fn made(root: &Path, name: &str, file: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(file), path).unwrap();
}

fn unlabelled() -> DatasetParams {
    let mut params = DatasetParams::of(Format::Folder, "");
    params.images = Some("none".into());
    params.unlabeled = Some("all".into());
    params
}

fn open(manifest: &Manifest, root: &Path) -> Vec<u8> {
    let data = OpenDataset::new(manifest.clone(), Root::Folder(root.to_path_buf()));
    data.read_image(&manifest.images[0]).unwrap().pixels
}

#[test]
fn options_are_in_the_manifest_and_the_same_pixels_are_read_from_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    fs::create_dir(root.join("none")).unwrap();
    made(root, "all/a.tif", "three_pages.tif");
    let mut params = unlabelled();
    assert!(message(&params, root).starts_with("all/a.tif: a tif of 3 pages; set `page = 1`"));
    params.page = Some(2);
    let manifest = read(&params, root).unwrap();
    let text = serde_json::to_string(&manifest).unwrap();
    assert!(text.contains("\"page\":2") && !text.contains("range") && !text.contains("orientation"), "{text}");
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    // Page 1 holds the values of which page 2 is the negative.
    assert_eq!(open(&manifest, root)[..3], [255, 246, 237]);

    made(root, "all/a.tif", "float32.tif");
    params.page = None;
    params.range = Some([0.0, 1.0]);
    let manifest = read(&params, root).unwrap();
    assert!(serde_json::to_string(&manifest).unwrap().contains("\"range\":[0.0,1.0]"));
    assert_eq!(open(&manifest, root)[..3], [0, 9, 18]);

    made(root, "all/a.tif", "two_channels.tif");
    (params.range, params.channels) = (None, Some(vec![1]));
    let manifest = read(&params, root).unwrap();
    assert_eq!((manifest.images[0].channels, open(&manifest, root)[0]), (1, 255));
}

#[test]
fn images_that_are_turned_are_counted_and_fit_their_masks() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    made(root, "images/a.tif", "turned6.tif");
    made(root, "masks/a.tif", "turned_mask.tif");
    made(root, "images/b.jpg", "turned3.jpg");
    made(root, "masks/b.png", "turned_mask.png");
    let mut params = folder(&["a", "b", "c", "d"]);
    params.split = split(0.0, 1.0, 0);
    let manifest = read(&params, root).unwrap();
    let orientations: Vec<Option<u8>> = manifest.images.iter().map(|entry| entry.orientation).collect();
    assert_eq!(orientations, [Some(6), Some(3)]);
    assert!(manifest.images.iter().all(|entry| (entry.width, entry.height) == (27, 18)));
    let words = survey(&manifest, &|name| Some(root.join(name))).stored_in_words();
    assert_eq!(
        words,
        "8-bit grey jpg (1), 8-bit grey tif (1); all are grey; 2 images are turned as their files say \
         (orientations 3, 6)"
    );
    // A mask drawn on the image as it is stored.
    grey(root, "masks/a.tif", (18, 27), 0, 1);
    assert_eq!(
        message(&params, root),
        "masks/a.tif: is 18×27, its image 27×18, turned as its file says (orientation 6); export the mask at the size of its \
         image"
    );
}

#[test]
fn impossible_options_are_refused_at_their_parameter() {
    let check = |change: fn(&mut DatasetParams)| {
        let mut params = unlabelled();
        change(&mut params);
        params.check().map_err(|problem| problem.to_string())
    };
    assert_eq!(check(|params| params.range = Some([0.0, 1.5])), Ok(()));
    assert_eq!(check(|params| params.channels = Some(vec![2, 0, 1])), Ok(()));
    type Change = fn(&mut DatasetParams);
    let refused: [(Change, &str); 8] = [
        (|params| params.bits = Some(17), "`bits`: 17 bits a pixel; expected 8 to 16"),
        (
            |params| params.range = Some([1.0, 1.0]),
            "`range`: [1, 1]: expected two numbers, the smaller one (black) first",
        ),
        (|params| params.range = Some([f64::NAN, 1.0]), "`range`: [NaN, 1]: expected two numbers"),
        (|params| params.page = Some(0), "`page`: 0: pages are counted from 1"),
        (|params| params.channels = Some(vec![1, 1]), "`channels`: 1 occurs twice"),
        (|params| params.channels = Some(vec![]), "`channels`: 0 channels: networks read 1 to 8"),
        (|params| params.channels = Some((0..9).collect()), "`channels`: 9 channels: networks read 1 to 8"),
        (
            |params| (params.bits, params.range) = (Some(12), Some([0.0, 9.0])),
            "`range`: says the same as `bits`: give one of the two",
        ),
    ];
    for (change, expected) in refused {
        let problem = check(change).unwrap_err();
        assert!(problem.starts_with(expected), "{problem}");
    }
}
