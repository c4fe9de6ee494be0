//! An image file that is read in bands of rows, so that images larger than the memory can be predicted.

use crate::decode::{self, ImageOptions};
use crate::instrument;
use crate::{Crop, DataError, Micrograph, PixelSizes, Rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;

/// How image files are read where a file alone does not say it: as the images of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReadAs {
    /// Depth, range, page and channels.
    #[serde(flatten)]
    pub options: ImageOptions,
    /// The margins that are no part of the micrograph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// The size of a pixel, in the place of the metadata's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<PixelSizes>,
}

/// An open image file: cropped, turned upright.
pub struct ImageFile {
    image: Micrograph,
    pixel_size: Option<[f64; 2]>,
}

impl ImageFile {
    /// Opens `path`.
    ///
    /// # Errors
    /// As [`decode::decode_image`], as far as it is known from the header; an unknown info bar with `crop = "auto"`.
    pub fn open(path: &Path, read_as: &ReadAs) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(DataError::reading(path))?;
        let image = decode::decode_image(path, &bytes, &read_as.options)?;
        let pixel_size = instrument::read(&bytes, None, (image.width, image.height)).pixel_size;
        Ok(ImageFile { image, pixel_size })
    }

    /// Size of a pixel across and down, in nm, if the file's metadata or `read_as` say it.
    pub fn pixel_size(&self) -> Option<[f64; 2]> {
        self.pixel_size
    }
}

impl Rows for ImageFile {
    fn width(&self) -> usize {
        self.image.width
    }

    fn height(&self) -> usize {
        self.image.height
    }

    fn channels(&self) -> usize {
        self.image.channels
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let Micrograph { width, channels, .. } = self.image;
        let line = width * channels;
        let pixels = self.image.pixels[rows.start * line..rows.end * line].to_vec();
        Ok(Micrograph { width, height: rows.len(), channels, pixels })
    }
}
