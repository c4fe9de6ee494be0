//! Errors of encoders. That of the system is taken out of them, so that a full disk is known for what it is.

use anyhow::Error;
use png::EncodingError;
use tiff::TiffError;
use zip::result::ZipError;

pub(super) fn of_png(error: EncodingError) -> Error {
    match error {
        EncodingError::IoError(error) => error.into(),
        other => other.into(),
    }
}

pub(super) fn of_tiff(error: TiffError) -> Error {
    match error {
        TiffError::IoError(error) => error.into(),
        other => other.into(),
    }
}

pub(super) fn of_zip(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => error.into(),
        other => other.into(),
    }
}
