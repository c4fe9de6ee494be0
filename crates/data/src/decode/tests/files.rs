//! Files that other programs wrote: what `tests/files/generate.py` made and what must be read from it.

use crate::decode::{ImageOptions, decode_colors, decode_image, decode_mask};
use crate::{DataError, Micrograph};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A line of `index.jsonl`.
#[derive(Deserialize)]
struct Reading {
    file: String,
    kind: String,
    options: ImageOptions,
    size: Option<(usize, usize)>,
    channels: Option<usize>,
    crc: Option<u32>,
    near: Option<String>,
    within: Option<u8>,
    error: Option<String>,
}

/// The folder of the files: of a larger set, which `generate.py --all DIR` made, if `MATSSL_TEST_FILES` names one.
fn folder() -> PathBuf {
    std::env::var_os("MATSSL_TEST_FILES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files"), PathBuf::from)
}

fn read(reading: &Reading, path: &Path, bytes: &[u8]) -> Result<Micrograph, DataError> {
    match reading.kind.as_str() {
        "mask" => decode_mask(path, bytes, reading.options.page).map(|mask| Micrograph {
            width: mask.width,
            height: mask.height,
            channels: 1,
            pixels: mask.labels,
        }),
        "colours" => decode_colors(path, bytes, reading.options.page),
        _ => decode_image(path, bytes, &reading.options),
    }
}

/// What is wrong with what was read.
fn difference(reading: &Reading, found: Result<Micrograph, DataError>) -> Option<String> {
    let image = match (found, &reading.error) {
        (Err(error), Some(expected)) if error.to_string().contains(expected) => return None,
        (Err(error), Some(expected)) => return Some(format!("says \"{error}\", not \"{expected}\"")),
        (Err(error), None) => return Some(format!("refused: {error}")),
        (Ok(_), Some(expected)) => return Some(format!("read, not refused with \"{expected}\"")),
        (Ok(image), None) => image,
    };
    let found = (Some((image.width, image.height)), Some(image.channels));
    if found != (reading.size, reading.channels) {
        return Some(format!("{found:?}, not {:?}", (reading.size, reading.channels)));
    }
    if let (Some(near), Some(within)) = (&reading.near, reading.within) {
        let expected = (0..near.len()).step_by(2).map(|at| u8::from_str_radix(&near[at..at + 2], 16).unwrap());
        let worst = image.pixels.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        return (worst > within).then(|| format!("{worst} grey levels off"));
    }
    let mut crc = flate2::Crc::new();
    crc.update(&image.pixels);
    (Some(crc.sum()) != reading.crc).then(|| format!("other pixels: {:?} …", &image.pixels[..12]))
}

#[test]
fn files_of_other_programs_are_read_right_or_refused_by_name() {
    let folder = folder();
    let index = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let mut wrong = Vec::new();
    for line in index.lines() {
        let reading: Reading = serde_json::from_str(line).unwrap();
        let path = folder.join(&reading.file);
        let bytes = std::fs::read(&path).unwrap();
        if let Some(difference) = difference(&reading, read(&reading, &path, &bytes)) {
            wrong.push(format!("{} as {} {:?}: {difference}", reading.file, reading.kind, reading.options));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), index.lines().count(), wrong.join("\n"));
}

/// Every file with bytes changed and cut: an error or pixels, never a panic, which would be an error that says so.
#[test]
fn changed_files_do_not_make_a_decoder_of_ours_panic() {
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let rounds: usize = std::env::var("MATSSL_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "tif")) {
        let whole = std::fs::read(file).unwrap();
        for _ in 0..rounds {
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
            for found in
                [decode_image(file, &bytes, &ImageOptions::default()).err(), decode_mask(file, &bytes, Some(1)).err()]
            {
                let text = found.map(|error| error.to_string()).unwrap_or_default();
                assert!(!text.contains("the decoder failed"), "{text}");
            }
        }
    }
}
