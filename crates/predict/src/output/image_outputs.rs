//! All files of one image, written as its bands arrive.

use super::grey_map::{GreyMap, Shows};
use super::mask_file::MaskFile;
use super::picture::{Picture, Shrunk};
use super::planes::Planes;
use super::{ImageFiles, OutputFile, OutputOptions, WholeFile, objects_csv};
use crate::engine::Band;
use crate::measure::{Measured, Measures};
use crate::model::ClassDescription;
use anyhow::Result;
use std::path::Path;

/// The files of an image that is being predicted.
pub struct ImageOutputs<'a> {
    target: Target<'a>,
    mask: MaskFile,
    probabilities: Option<Planes>,
    maps: Vec<GreyMap>,
    picture: Option<Picture>,
    measures: Measures,
}

/// What is written where.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The folder of the results.
    pub root: &'a Path,
    /// A folder for unfinished files, on the same file system.
    pub work: &'a Path,
    /// Paths inside `root`.
    pub files: &'a ImageFiles,
    /// Which of them.
    pub options: &'a OutputOptions,
    /// By index.
    pub classes: &'a [ClassDescription],
    /// Width and height of the image.
    pub size: (usize, usize),
    /// Size of its pixels in nm, across and down, if it is known.
    pub pixel_size: Option<[f64; 2]>,
}

/// What was written of an image.
pub struct Written {
    /// Its measures.
    pub measured: Measured,
    /// Its files.
    pub outputs: Vec<OutputFile>,
}

impl<'a> ImageOutputs<'a> {
    /// Begins the files of an image.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn begin(target: Target<'a>) -> Result<Self> {
        let Target { root, work, files, options, classes, size, pixel_size } = target;
        let path = |name: &str| root.join(name);
        let mask = MaskFile::create(options.format, work, &path(&files.mask), size, classes, pixel_size)?;
        let mut probabilities = None;
        if let (Some(name), Some(format)) = (&files.probabilities, options.probabilities) {
            probabilities = Some(Planes::create(format, work, &path(name), classes.len(), size, pixel_size)?);
        }
        let mut maps = Vec::new();
        for (name, what) in [(&files.uncertainty, Shows::Entropy), (&files.disagreement, Shows::Disagreement)] {
            if let Some(name) = name {
                maps.push(GreyMap::create(what, work, &path(name), size, pixel_size)?);
            }
        }
        Ok(ImageOutputs {
            target,
            mask,
            probabilities,
            maps,
            picture: files.overlay.is_some().then(|| Picture::new(size)),
            measures: Measures::new(classes.len(), size, &options.objects),
        })
    }

    /// Takes the next band.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn take(&mut self, band: &Band) -> Result<()> {
        let classes = self.target.classes;
        let values: Vec<u8> = band.labels.iter().map(|&label| classes[usize::from(label)].value).collect();
        self.mask.add(&values)?;
        if let Some(planes) = &mut self.probabilities {
            planes.add(band)?;
        }
        for map in &mut self.maps {
            map.add(band, classes.len())?;
        }
        if let Some(picture) = &mut self.picture {
            picture.add(&band.labels);
        }
        self.measures.add(band.top, &band.labels);
        Ok(())
    }

    /// Ends all files: now they have their names. `image` has all rows of the image, if there is an overlay.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(self, image: Option<&Shrunk>) -> Result<Written> {
        let Target { root, work, files, classes, pixel_size, .. } = self.target;
        self.mask.finish()?;
        if let Some(planes) = self.probabilities {
            planes.finish()?;
        }
        for map in self.maps {
            map.finish()?;
        }
        let paths = (files.overlay.as_ref(), files.thumbnail.as_ref());
        if let (Some(picture), Some(image), (Some(overlay), Some(thumbnail))) = (self.picture, image, paths) {
            picture.finish(image, classes, pixel_size, work, (&root.join(overlay), &root.join(thumbnail)))?;
        }
        let measured = self.measures.finish(pixel_size);
        if let Some(name) = &files.objects {
            WholeFile::write(work, &root.join(name), &objects_csv(&measured, classes)?)?;
        }
        let outputs = files.all().map(|name| OutputFile::of(root, name)).collect::<Result<_>>()?;
        Ok(Written { measured, outputs })
    }
}
