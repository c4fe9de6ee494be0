//! An image on its way.

use crate::output::ImageFiles;
use crate::results::ImageResult;
use matssl_data::Rows;

/// An image that is to be predicted.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is called in tables.
    pub image: String,
    /// What it is called in messages: its path as it was given.
    pub shown: String,
    /// Where its files go.
    pub files: ImageFiles,
}

/// An image that was opened.
pub enum Opened {
    /// Its results are there already.
    Known(Box<ImageResult>),
    /// It is to be predicted.
    Image {
        /// Its rows.
        rows: Box<dyn Rows>,
        /// Size of its pixels in nm, across and down, if it is known.
        pixel_size: Option<[f64; 2]>,
    },
}

/// What became of an image.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its results.
    Done {
        /// Them.
        result: Box<ImageResult>,
        /// Whether they were there already.
        known: bool,
    },
    /// It cannot be predicted.
    Failed {
        /// The file, the problem and the cure.
        reason: String,
        /// The exit code for this problem alone.
        exit_code: u8,
    },
}
