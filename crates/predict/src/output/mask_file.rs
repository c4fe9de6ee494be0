//! The mask of an image, in one of its formats.

use super::MaskFormat;
use super::mask_png::{BytePng, Shown};
use super::mask_tif::MaskTif;
use crate::model::ClassDescription;
use anyhow::Result;
use std::path::Path;

/// A mask that is being written.
pub(super) enum MaskFile {
    Png(Box<BytePng>),
    Tif(MaskTif),
}

impl MaskFile {
    pub(super) fn create(
        format: MaskFormat,
        work: &Path,
        path: &Path,
        size: (usize, usize),
        classes: &[ClassDescription],
        pixel_size: Option<[f64; 2]>,
    ) -> Result<Self> {
        Ok(match format {
            MaskFormat::Png => {
                let palette = palette(classes);
                MaskFile::Png(Box::new(BytePng::create(work, path, size, &Shown::Palette(&palette), pixel_size)?))
            }
            MaskFormat::Tif => MaskFile::Tif(MaskTif::create(work, path, size, pixel_size)?),
        })
    }

    /// Adds rows of values.
    pub(super) fn add(&mut self, rows: &[u8]) -> Result<()> {
        match self {
            MaskFile::Png(file) => file.add(rows),
            MaskFile::Tif(file) => file.add(rows),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            MaskFile::Png(file) => file.finish(),
            MaskFile::Tif(file) => file.finish(),
        }
    }
}

/// The colour of each value up to the largest, RGB; values without a class are black.
fn palette(classes: &[ClassDescription]) -> Vec<u8> {
    let count = classes.iter().map(|class| usize::from(class.value) + 1).max().unwrap_or(1);
    let mut palette = vec![0; 3 * count];
    for class in classes {
        palette[3 * usize::from(class.value)..][..3].copy_from_slice(&class.color.0);
    }
    palette
}
