//! What kind of file it is, by its first bytes.

use super::refusal::{Decoded, Refusal};

/// A kind of file that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Png,
    Tif,
    Jpg,
    Bmp,
}

const READ: &str = "png, tif, jpg and bmp are read";
const CONVERT: &str = "save it as png or tif";

const ZEROS: (&str, &str) =
    ("a file of zeros, as a copy leaves that did not finish", "copy or download the file again");

/// First bytes of files that are known and not read, with what they are and the cure.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"version https://git-lfs.github.com/spec", "a Git LFS pointer, not the image", "run `git lfs pull`"),
    (b"GIF8", "a gif", CONVERT),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000 file", CONVERT),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000 file", CONVERT),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "a JPEG XL file", CONVERT),
    (b"\xFF\x0A", "a JPEG XL file", CONVERT),
    (b"\xFF\xD8\xFF\xF7", "a JPEG-LS file", CONVERT),
    (b"II\xBC", "a JPEG XR file", CONVERT),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"PK\x05\x06", "a zip archive", "unpack it"),
    (b"\x1F\x8B", "a gzip archive", "unpack it"),
    (b"BZh", "a bzip2 archive", "unpack it"),
    (b"\xFD7zXZ\0", "an xz archive", "unpack it"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"%PDF", "a pdf", "export its image as png"),
    (b"%!PS", "a PostScript file", "export its image as png"),
    (b"\x89HDF", "an HDF5 file", CONVERT),
    (b"\x93NUMPY", "a NumPy array", CONVERT),
    (b"8BPS", "a Photoshop file", CONVERT),
    (b"ZISRAW", "a Zeiss czi file", CONVERT),
    (b"\x01\0\0\0\x0D\0\0\0\x08\0\0\0\0\0", "an EMF file", CONVERT),
    (b"P5", "a pgm", CONVERT),
    (b"P6", "a ppm", CONVERT),
];

/// The kind of the file `bytes`.
///
/// # Errors
/// It is none that is read; the reason says what it is, if that can be known.
pub(super) fn container(bytes: &[u8]) -> Decoded<Container> {
    if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        return Ok(Container::Png);
    }
    if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic)) {
        return Ok(Container::Tif);
    }
    if let Some((_, what, cure)) = OTHERS.iter().find(|(magic, _, _)| bytes.starts_with(magic)) {
        return Err(Refusal::new(*what, format!("{cure}; {READ}")));
    }
    if bytes.starts_with(b"\xFF\xD8\xFF") {
        return Ok(Container::Jpg);
    }
    if bytes.starts_with(b"BM") {
        return Ok(Container::Bmp);
    }
    let (problem, cure) = match bytes {
        [] => ("an empty file", ""),
        _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => ("a webp", CONVERT),
        _ if bytes.get(4..8) == Some(b"ftyp") => ("a heic, avif or video file", CONVERT),
        _ if bytes.get(128..132) == Some(b"DICM") => ("a DICOM file", CONVERT),
        _ if bytes.iter().all(|&byte| byte == 0) => ZEROS,
        _ => text_file(bytes).unwrap_or(("not an image that can be read", "")),
    };
    Err(Refusal::new(problem, if cure.is_empty() { READ.to_owned() } else { format!("{cure}; {READ}") }))
}

/// What stands where a file of any kind should: a pointer, a web page, an archive, zeros. (What it is, cure.)
pub(crate) fn stand_in(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let known = OTHERS.iter().find(|(magic, _, _)| bytes.starts_with(magic)).map(|(_, what, cure)| (*what, *cure));
    let zeros = || (!bytes.is_empty() && bytes.iter().all(|&byte| byte == 0)).then_some(ZEROS);
    let found = known.or_else(zeros).or_else(|| text_file(bytes));
    found.filter(|(_, cure)| !cure.starts_with(CONVERT) && !cure.starts_with("export"))
}

/// A text that stands where an image should: (what it is, cure).
fn text_file(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_lowercase();
    let start = start.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    if start.contains("annex/objects/") {
        return Some(("a git-annex pointer, not the image", "run `git annex get` (or `datalad get`)"));
    }
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Some(("a web page, not the image", "download the file again"));
    }
    if start.starts_with("<?xml") || start.starts_with("<svg") {
        return Some(("an xml or svg file", CONVERT));
    }
    None
}
