//! Crop, pixel size, digests and messages of image files.

use super::*;
use crate::test_tiff::{TestTiff, Value};
use crate::{Auto, Margin, Sides};
use tempfile::tempdir;

fn bottom(rows: usize) -> Option<Crop> {
    Some(Crop::Sides(Sides { bottom: Some(Margin::Pixels(rows)), ..Sides::default() }))
}

/// Metadata of FEI: 20 nm a pixel, and an info bar below `rows` scanned rows of `width` pixels.
fn fei(width: u32, rows: u32) -> Value {
    let text = format!(
        "[Scan]\r\nPixelWidth=2e-8\r\nPixelHeight=2e-8\r\n[Image]\r\nResolutionX={width}\r\nResolutionY={rows}\r\n"
    );
    Value::Text(text.into_bytes())
}

fn open(bytes: &[u8], read_as: &ReadAs) -> Result<ImageFile, DataError> {
    ImageFile::of_bytes(Path::new("d/a.tif"), bytes.to_vec(), read_as)
}

#[test]
fn margins_are_cut_and_grey_is_known_without_them() {
    // Coloured in the lowest row only.
    let tif = MadeTif { samples: 3, photometric: 2, content: Content::Grey, seed: 7, ..tiled() };
    for orientation in [1, 2] {
        let bytes = MadeTif { orientation, ..tif.clone() }.bytes();
        let whole = decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap();
        assert_eq!(whole.channels, 3);
        let sides = Sides { top: Some(5), bottom: Some(Margin::Pixels(1)), left: Some(7), right: Some(33) };
        let mut file = open(&bytes, &ReadAs { crop: Some(Crop::Sides(sides)), ..ReadAs::default() }).unwrap();
        assert_eq!((file.width(), file.height(), file.channels()), (50, 64, 1));
        let expected = whole.crop((7, 5), (50, 64)).grey_if_equal_channels();
        assert_eq!(file.rows(0..64).unwrap(), expected);
        assert_eq!(file.rows(40..47).unwrap().pixels, expected.pixels[40 * 50..47 * 50]);
    }
    let error = open(&tif.bytes(), &ReadAs { crop: bottom(70), ..ReadAs::default() }).unwrap_err().to_string();
    assert_eq!(
        error,
        "d/a.tif: is 90×70, and `--crop` leaves nothing of it; correct `--crop`: the margins must be smaller than the image"
    );
}

#[test]
fn metadata_give_the_info_bar_and_the_size_of_a_pixel() {
    let auto = ReadAs { crop: Some(Crop::Auto(Auto::Auto)), ..ReadAs::default() };
    let bytes = TestTiff::flat(40, 36).with(34_682, fei(40, 30)).bytes();
    let file = open(&bytes, &auto).unwrap();
    assert_eq!((file.width(), file.height()), (40, 30));
    let near = |size: Option<[f64; 2]>, nm: f64| size.unwrap().iter().all(|size| (size - nm).abs() < 1e-9);
    assert!(near(file.pixel_size(), 20.0), "{:?}", file.pixel_size());
    assert_eq!((file.pixel_size_from(), file.pixel_size_doubt()), (Some("FEI"), None));
    let given: PixelSizes = serde_json::from_str(r#"{ "a.tif": "50 nm" }"#).unwrap();
    let file = open(&bytes, &ReadAs { pixel_size: Some(given), ..ReadAs::default() }).unwrap();
    assert!(near(file.pixel_size(), 50.0));
    assert_eq!(file.pixel_size_from(), Some("given"));
    // Scaled after it was taken.
    let file = open(&TestTiff::flat(20, 18).with(34_682, fei(40, 30)).bytes(), &ReadAs::default()).unwrap();
    assert_eq!((file.pixel_size(), file.pixel_size_from()), (None, None));
    assert_eq!(file.pixel_size_doubt(), Some("its FEI metadata are of an image 40 pixels wide, and this one has 20"));
    let error = open(&TestTiff::flat(20, 18).bytes(), &auto).unwrap_err().to_string();
    assert_eq!(
        error,
        "d/a.tif: the height of its info bar is to be found by its metadata, and is not known: its metadata say nothing of \
         an info bar; give the height of the bar: `--crop bottom=60` (0 if there is none)"
    );
}

#[test]
fn a_side_file_is_found_beside_the_image() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("s1.tif");
    std::fs::write(&path, TestTiff::flat(48, 36).bytes()).unwrap();
    assert_eq!(ImageFile::open(&path, &ReadAs::default()).unwrap().pixel_size(), None);
    let text = "[SemImageFile]\r\nInstructName=SU8230\r\nPixelSize=24.8\r\nDataSize=48x36\r\n";
    std::fs::write(folder.path().join("s1.txt"), text).unwrap();
    let file = ImageFile::open(&path, &ReadAs::default()).unwrap();
    assert_eq!((file.pixel_size(), file.pixel_size_from()), (Some([24.8; 2]), Some("Hitachi")));
}

#[test]
fn sizes_and_digests_are_known_beforehand() {
    for path in ["turned6.tif", "turned8.png", "turned5.jpg", "palette4.bmp", "planar_tiles.tif", "turned3.tif"] {
        let path = folder().join(path);
        let file = ImageFile::open(&path, &ReadAs::default()).unwrap();
        assert_eq!(ImageFile::size_of(&path, &ReadAs::default()).unwrap(), (file.width(), file.height()));
        let cut = ReadAs { crop: bottom(2), ..ReadAs::default() };
        assert_eq!(ImageFile::size_of(&path, &cut).unwrap(), (file.width(), file.height() - 2));
        let digest = blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string();
        assert_eq!((file.digest(), ImageFile::digest_of(&path).unwrap().as_str()), (digest.as_str(), digest.as_str()));
    }
}

#[test]
fn cures_fit_the_command_line() {
    let folder = folder();
    let error = |path: &str, options: ImageOptions| {
        ImageFile::open(&folder.join(path), &ReadAs { options, ..ReadAs::default() }).unwrap_err().to_string()
    };
    let plain = ImageOptions::default;
    for (path, options, cure) in [
        ("three_pages.tif", plain(), "give `--page 1` (or up to 3), or save each page as an image of its own"),
        ("three_pages.tif", ImageOptions { page: Some(9), ..plain() }, "correct `--page`"),
        ("five_channels.tif", plain(), "give `--channels`, e.g. `--channels 0` for the first one"),
        ("five_channels.tif", ImageOptions { channels: Some(vec![7]), ..plain() }, "correct `--channels`"),
        ("float32.tif", plain(), "give the values of black and white by `--range`, the same for all images"),
        ("empty.png", plain(), "png, tif, jpg and bmp are read"),
    ] {
        let error = error(path, options);
        assert!(error.ends_with(&format!("; {cure}")), "{error}");
        assert!(!error.contains("data set"), "{error}");
    }
    let dark = MadeTif { kind: Kind::Unsigned(16), content: Content::Dark, ..tiled() };
    let refused = |options: ImageOptions| open(&dark.bytes(), &ReadAs { options, ..ReadAs::default() });
    let error = refused(plain()).unwrap_err().to_string();
    assert!(
        error.ends_with("few grey levels would be left; give `--bits 13`, or `--bits 16` if it is that dark"),
        "{error}"
    );
    // Told when the rows are read, with the largest value of the whole image.
    let error = refused(ImageOptions { bits: Some(9), ..plain() }).unwrap().rows(0..1).unwrap_err().to_string();
    assert!(error.contains("and 511 is the largest of 9 bits; correct `--bits`, e.g. `--bits 13`"), "{error}");
    let gone = ImageFile::open(Path::new("nowhere/a.tif"), &ReadAs::default()).unwrap_err();
    assert_eq!(gone.to_string(), "nowhere/a.tif: not there; put the file back, or correct its name");
    assert_eq!(gone.exit_code(), 4);
    let folder = ImageFile::open(&folder, &ReadAs::default()).unwrap_err().to_string();
    assert!(folder.ends_with(": not a file; name an image file"), "{folder}");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, tiled().bytes()).unwrap();
    let mut file = ImageFile::open(&path, &ReadAs::default()).unwrap();
    assert!(file.is_streamed());
    file.rows(0..10).unwrap();
    std::fs::write(&path, MadeTif { size: (90, 71), ..tiled() }.bytes()).unwrap();
    let error = file.rows(0..10).unwrap_err().to_string();
    assert!(error.ends_with("a.tif: changed while it was read; run again when it is complete"), "{error}");
}
