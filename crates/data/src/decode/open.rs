//! Opens an image file to be read in parts where its format allows it.

use super::container::{Container, container};
use super::file::{self, HEAD, check_xmp};
use super::guard::guarded;
use super::micrograph::decode;
use super::options::ImageOptions;
use super::parts::Parts;
use super::source::Source;
use super::tif::Pieces;
use crate::{DataError, Micrograph};
use std::path::Path;

/// An open image.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Decoded.
    Whole(Micrograph),
    /// Decoded where it is asked for.
    Parts(Box<Parts>),
}

/// Opens the image file `source`, which lies at `path`; with its blake3.
///
/// # Errors
/// As [`super::decode_image`], as far as the file was read; with the cure for a user of the command line.
pub(crate) fn open_image(
    path: &Path,
    source: Source<'static>,
    options: &ImageOptions,
) -> Result<(Opened, blake3::Hash), DataError> {
    let opened = guarded(|| {
        if container(&source.head(HEAD)?)? == Container::Tif
            && let Some(pieces) = Pieces::open(&source, options.page)?
        {
            let (digest, xmp) = file::digest(&source)?;
            check_xmp(xmp, pieces.orientation())?;
            let parts = Parts::open(path, source, pieces, options)?;
            return Ok((Opened::Parts(Box::new(parts)), digest));
        }
        let bytes = source.head(u64::MAX)?;
        Ok((Opened::Whole(decode(&bytes, options)?), blake3::hash(&bytes)))
    });
    opened.map_err(|refusal| refusal.on_command_line(path))
}

/// Width and height of the image file `source`, which lies at `path`, upright, by its header.
///
/// # Errors
/// As [`open_image`], as far as the header tells.
pub(crate) fn size_of(path: &Path, source: &Source<'_>, page: Option<usize>) -> Result<(usize, usize), DataError> {
    guarded(|| file::size(source, page)).map_err(|refusal| refusal.on_command_line(path))
}

/// The blake3 of the file `source`, which lies at `path`.
///
/// # Errors
/// The disk's.
pub(crate) fn digest_of(path: &Path, source: &Source<'_>) -> Result<blake3::Hash, DataError> {
    guarded(|| file::digest(source)).map(|(digest, _)| digest).map_err(|refusal| refusal.on_command_line(path))
}
