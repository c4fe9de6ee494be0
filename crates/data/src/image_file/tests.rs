//! Whatever is read in parts has the values that it has if it is decoded at once.

mod made_tif;
mod options;

use super::*;
use crate::decode::decode_image;
use made_tif::{Content, Kind, MadeTif, any_tif};
use proptest::prelude::*;

fn folder() -> PathBuf {
    std::env::var_os("MATSSL_TEST_FILES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files"), PathBuf::from)
}

/// Draws numbers below a bound.
fn draws(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    }
}

/// The error without its cure, which is another on the command line.
fn problem(error: &DataError) -> String {
    match error {
        DataError::Bad { path, problem, .. } => format!("{}: {problem}", path.display()),
        other => other.to_string(),
    }
}

/// What of the file `bytes` is read otherwise in parts than at once: rows drawn by `seed`, all rows, the size, or the refusal.
fn difference(path: &Path, bytes: &[u8], read_as: &ReadAs, seed: u64) -> Option<String> {
    let expected = decode_image(path, bytes, &read_as.options);
    let opened = ImageFile::of_bytes(path, bytes.to_vec(), read_as);
    let (whole, mut file) = match (expected, opened) {
        (Ok(whole), Ok(file)) => (whole, file),
        (Ok(_), Err(error)) => return Some(format!("refused: {error}")),
        (Err(expected), Err(error)) => {
            let same = problem(&expected) == problem(&error);
            return (!same).then(|| format!("says {}, not {}", problem(&error), problem(&expected)));
        }
        (Err(expected), Ok(mut file)) => {
            let height = file.height();
            return match file.rows(0..height) {
                Ok(_) => Some(format!("read, not refused with {expected}")),
                Err(error) if problem(&expected) == problem(&error) => None,
                Err(error) => Some(format!("says {}, not {}", problem(&error), problem(&expected))),
            };
        }
    };
    let found = (file.width(), file.height(), file.channels());
    if found != (whole.width, whole.height, whole.channels) {
        return Some(format!("{found:?}, not {:?}", (whole.width, whole.height, whole.channels)));
    }
    let (mut next, line) = (draws(seed), whole.width * whole.channels);
    let mut ranges: Vec<Range<usize>> = std::iter::once(0..whole.height).collect();
    for _ in 0..6 {
        let (a, b) = (next(whole.height + 1), next(whole.height + 1));
        ranges.push(a.min(b)..a.max(b));
    }
    for range in ranges {
        let rows = match file.rows(range.clone()) {
            Ok(rows) => rows,
            Err(error) => return Some(format!("rows {range:?} refused: {error}")),
        };
        let same = rows.pixels == whole.pixels[range.start * line..range.end * line];
        if !same || (rows.width, rows.height, rows.channels) != (whole.width, range.len(), whole.channels) {
            return Some(format!("other rows {range:?} of {}", whole.height));
        }
    }
    None
}

/// Options of which each decides something for some file.
fn some_options() -> Vec<ImageOptions> {
    let plain = ImageOptions::default;
    vec![
        plain(),
        ImageOptions { bits: Some(12), ..plain() },
        ImageOptions { bits: Some(16), ..plain() },
        ImageOptions { range: Some([0.0, 1.0]), ..plain() },
        ImageOptions { range: Some([-100.0, 30_000.0]), page: Some(2), ..plain() },
        ImageOptions { channels: Some(vec![0]), ..plain() },
        ImageOptions { channels: Some(vec![2, 0, 1]), range: Some([3.0, 200.0]), ..plain() },
        ImageOptions { channels: Some(vec![1, 0]), bits: Some(10), page: Some(1), ..plain() },
    ]
}

#[test]
fn files_of_other_programs_are_read_in_parts_as_they_are_read_at_once() {
    let (mut wrong, mut streamed, mut all) = (Vec::new(), 0, 0);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        for options in some_options() {
            let read_as = ReadAs { options, ..ReadAs::default() };
            if let Some(difference) = difference(&path, &bytes, &read_as, all) {
                wrong.push(format!("{} {:?}: {difference}", path.display(), read_as.options));
            }
            all += 1;
            streamed += u64::from(ImageFile::open(&path, &read_as).is_ok_and(|file| file.is_streamed()));
        }
    }
    assert!(wrong.is_empty(), "{} of {all} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(streamed > all / 6, "{streamed} of {all} in parts");
}

/// Every tif with bytes changed and cut: the same pixels, or refused both ways. Which of several faults is named may differ.
#[test]
fn damaged_files_are_read_alike_or_refused_both_ways() {
    let mut next = draws(1);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let rounds: usize = std::env::var("MATSSL_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(40);
    let (mut read, mut refused) = (0, 0);
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "tif")) {
        let whole = std::fs::read(file).unwrap();
        for round in 0..rounds {
            let mut bytes = whole.clone();
            for _ in 0..1 + next(4) {
                let header = 8 + next(300);
                let at = if next(2) == 0 { header } else { next(bytes.len()) };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 0xFF, 0x7F, next(256) as u8][next(5)];
                }
            }
            if next(8) == 0 {
                bytes.truncate(next(bytes.len()));
            }
            let options = some_options().swap_remove(next(8));
            let read_as = ReadAs { options, ..ReadAs::default() };
            let difference = difference(file, &bytes, &read_as, round as u64);
            let text = difference.unwrap_or_default();
            assert!(text.is_empty() || text.starts_with("says "), "{} {:?}: {text}", file.display(), read_as.options);
            assert!(!text.contains("the decoder failed"), "{}: {text}", file.display());
            match ImageFile::of_bytes(file, bytes, &read_as) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read > 300 && refused > 300, "{read} read, {refused} refused");
}

fn options(tif: &MadeTif, chosen: usize) -> ImageOptions {
    let mut options = some_options().swap_remove(chosen % 8);
    options.page = None;
    if matches!(tif.kind, Kind::Floating(_)) && chosen.is_multiple_of(2) {
        options.range = Some([0.1, 0.8]);
    }
    options
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn made_tifs_are_read_in_parts_as_they_are_read_at_once(tif in any_tif(), chosen in 0usize..16, seed: u64) {
        let options = options(&tif, chosen);
        let read_as = ReadAs { options, ..ReadAs::default() };
        let bytes = tif.bytes();
        prop_assert_eq!(difference(Path::new("made.tif"), &bytes, &read_as, seed), None);
        if let Ok(file) = ImageFile::of_bytes(Path::new("made.tif"), bytes, &read_as) {
            prop_assert_eq!(file.is_streamed(), tif.orientation < 5);
        }
    }
}

/// Grey of 8 bits in tiles.
fn tiled() -> MadeTif {
    MadeTif {
        size: (90, 70),
        samples: 1,
        kind: Kind::Unsigned(8),
        content: Content::Noise,
        seed: 6,
        photometric: 1,
        alpha: None,
        compression: 8,
        has_predictor: true,
        is_planar: false,
        is_reversed: false,
        is_big_endian: false,
        is_big_tiff: false,
        orientation: 1,
        pieces: Ok((32, 16)),
    }
}

#[test]
fn made_tifs_are_read_and_not_only_refused_alike() {
    let read = |tif: MadeTif, options: ImageOptions| decode_image(Path::new("x"), &tif.bytes(), &options).unwrap();
    assert_eq!(read(tiled(), ImageOptions::default()).channels, 1);
    let rgb = MadeTif { samples: 3, photometric: 2, is_planar: true, ..tiled() };
    assert_eq!(read(rgb.clone(), ImageOptions::default()).channels, 3);
    let grey = MadeTif { content: Content::Grey, ..rgb };
    assert_eq!(read(grey.clone(), ImageOptions::default()).channels, 1);
    assert_eq!(read(MadeTif { seed: 7, ..grey }, ImageOptions::default()).channels, 3);
    let floating = MadeTif { kind: Kind::Floating(32), has_predictor: false, ..tiled() };
    let range = ImageOptions { range: Some([0.0, 1.0]), ..ImageOptions::default() };
    let pixels = read(floating, range).pixels;
    assert!((0..=255).all(|value| pixels.contains(&value)));
}

/// Damage deep inside is no reason to refuse rows that do not need it, and is told with its file.
#[test]
fn damage_is_told_when_its_rows_are_read() {
    let tif = tiled();
    let bytes = tif.bytes();
    // The first tile of the last row of tiles: its zlib header.
    let healthy = MadeTif { size: (90, 64), ..tif };
    let at = bytes.iter().zip(healthy.bytes()).skip(8).take_while(|(a, b)| **a == *b).count() + 8;
    let mut damaged = bytes;
    damaged[at..at + 40].fill(0xFF);
    let mut file = ImageFile::of_bytes(Path::new("a/b.tif"), damaged.clone(), &ReadAs::default()).unwrap();
    assert_eq!(file.rows(0..16).unwrap().height, 16);
    let error = file.rows(0..70).unwrap_err().to_string();
    assert!(error.starts_with("a/b.tif: damaged or cut short ("), "{error}");
    assert!(error.ends_with("; copy or download the file again"), "{error}");
    assert_eq!(error, decode_image(Path::new("a/b.tif"), &damaged, &ImageOptions::default()).unwrap_err().to_string());
}

/// However the rows are asked for, little more than the last of them is kept.
#[test]
fn few_rows_of_pieces_are_kept() {
    let band = 90 * 16;
    for (orientation, pieces) in [(1, Ok((32, 16))), (4, Ok((32, 16))), (1, Err(16))] {
        let bytes = MadeTif { size: (90, 70 * 16), orientation, pieces, ..tiled() }.bytes();
        let mut file = ImageFile::of_bytes(Path::new("x"), bytes, &ReadAs::default()).unwrap();
        let whole = file.rows(0..70 * 16).unwrap();
        for most in [3 * band, band / 2] {
            let kept = |file: &mut ImageFile| match &mut file.image {
                Opened::Parts(parts) => parts.kept(most),
                Opened::Whole(_) => panic!("read at once"),
            };
            kept(&mut file);
            for range in [0..40, 30..70, 0..1120, 1000..1120, 500..501] {
                let rows = file.rows(range.clone()).unwrap();
                assert_eq!(rows.pixels, whole.pixels[range.start * 90..range.end * 90]);
                let kept = kept(&mut file);
                assert!(kept.iter().sum::<usize>() <= most.max(band), "{kept:?} after {range:?}");
            }
        }
    }
}

/// Long strips without compression are read a few rows at a time.
#[test]
fn rows_inside_of_a_long_strip_are_read_alone() {
    let long = MadeTif { size: (700, 1300), compression: 1, has_predictor: false, pieces: Err(1300), ..tiled() };
    let deep = MadeTif { kind: Kind::Unsigned(16), is_big_endian: true, ..long.clone() };
    let colours = MadeTif { size: (301, 1000), samples: 3, photometric: 2, ..deep.clone() };
    let several = MadeTif { pieces: Err(800), ..colours.clone() };
    for tif in [deep, several.clone(), MadeTif { is_planar: true, pieces: Err(999), ..several }] {
        let bytes = tif.bytes();
        assert_eq!(difference(Path::new("x"), &bytes, &ReadAs::default(), 5), None);
        let mut file = ImageFile::of_bytes(Path::new("x"), bytes, &ReadAs::default()).unwrap();
        file.rows(20..30).unwrap();
        let Opened::Parts(parts) = &mut file.image else { panic!("read at once") };
        let most = parts.kept(0).into_iter().max().unwrap();
        assert!(most < 1 << 20, "{most} bytes at once");
    }
}

/// `bytes` with another value of a tag of one number.
fn with_tag(bytes: &[u8], tag: u16, value: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let is_it = |entry: &[u8]| entry[..2] == tag.to_le_bytes() && entry[4..8] == 1u32.to_le_bytes();
    let at = bytes.windows(12).rposition(is_it).unwrap();
    bytes[at + 8..at + 12].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn images_that_are_too_large_to_be_read_at_once_get_the_cure() {
    let strip = MadeTif { pieces: Err(70), ..tiled() }.bytes();
    let error = |side: u32| {
        let bytes = with_tag(&with_tag(&strip, 256, side), 257, side);
        ImageFile::of_bytes(Path::new("a.tif"), with_tag(&bytes, 278, 65_535), &ReadAs::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(60_000),
        "a.tif: 60000×60000 is more than 400 megapixels, and stored in a way that is read at once only; save it as a tiled \
         tif (or BigTIFF), which is read in pieces"
    );
    assert_eq!(error(70_000), "a.tif: 70000×70000 is more than 4294 megapixels; cut it into smaller images");
    // Tiles without their pixels.
    let tiles = with_tag(&with_tag(&tiled().bytes(), 256, 60_000), 257, 60_000);
    let error = ImageFile::of_bytes(Path::new("a.tif"), tiles, &ReadAs::default()).unwrap_err().to_string();
    assert!(error.starts_with("a.tif: damaged or cut short (15 of 7031250 pieces)"), "{error}");
}
