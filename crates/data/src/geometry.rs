//! From the pixels of a file to the image as it is read: crop, then resampling or resizing. Image and mask go the same way,
//! when a data set is checked and each time it is read.

use crate::crop::Part;
use crate::resample::Factors;
use crate::{DataError, Entry, Mask, Micrograph};
use std::path::Path;

/// The part of an image that is used, and the size at which it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Geometry {
    /// Columns left of the part and rows above it.
    pub(crate) offset: (usize, usize),
    /// Width and height of the part.
    pub(crate) part: (usize, usize),
    /// The micrograph, offset and size, which is the part unless the part is a window of it.
    pub(crate) micrograph: Part,
    /// Width and height as it is read.
    pub(crate) size: (usize, usize),
    /// How the part comes to that size.
    pub(crate) scaling: Scaling,
}

/// How an image comes to another size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scaling {
    /// It does not.
    None,
    /// To a given size, whatever its sides were.
    Resize,
    /// To a given size of pixels.
    Resample(Factors),
}

impl Geometry {
    /// That of an image of a checked data set.
    pub(crate) fn of(entry: &Entry) -> Self {
        let scaling = match (entry.resampled_by, entry.resized_from) {
            (Some(factors), _) => Scaling::Resample(factors),
            (None, Some(_)) => Scaling::Resize,
            (None, None) => Scaling::None,
        };
        let (offset, part) = (entry.offset.unwrap_or_default(), entry.cropped());
        Geometry {
            offset,
            part,
            micrograph: entry.window_of.unwrap_or((offset, part)),
            size: (entry.width, entry.height),
            scaling,
        }
    }

    /// Pixels of the file for one as it is read, if it is resampled.
    pub(crate) fn factors(&self) -> Option<Factors> {
        match self.scaling {
            Scaling::Resample(factors) => Some(factors),
            Scaling::None | Scaling::Resize => None,
        }
    }

    /// The part of a decoded image that is used, at its own size. Without its info bar, an image may have no colours.
    pub(crate) fn crop(&self, image: Micrograph) -> Micrograph {
        image.crop(self.offset, self.part).grey_if_equal_channels()
    }

    /// A decoded image as it is read.
    pub(crate) fn image(&self, image: Micrograph) -> Micrograph {
        let image = self.crop(image);
        match self.scaling {
            Scaling::None => image,
            Scaling::Resize => image.resize(self.size.0, self.size.1),
            Scaling::Resample(factors) => image.resample(factors, self.size),
        }
    }

    /// A mask as it is read. A mask of the size of its image's file (`full`) is cropped as the image is; a mask of the size
    /// of the micrograph (the file without what `crop` cuts) is taken as it is, or the window is cut from it.
    ///
    /// # Errors
    /// [`DataError::Bad`] about the mask's file `path` if the mask has neither size.
    pub(crate) fn mask(&self, mask: Mask, full: (usize, usize), path: &Path) -> Result<Mask, DataError> {
        let size = (mask.width, mask.height);
        let mask = if size == full {
            mask.crop(self.offset, self.part)
        } else if size == self.micrograph.1 {
            let (left, top) = self.micrograph.0;
            mask.crop((self.offset.0 - left, self.offset.1 - top), self.part)
        } else {
            return Err(self.other_size(size, full, path));
        };
        Ok(match self.scaling {
            Scaling::None => mask,
            Scaling::Resize => mask.resize(self.size.0, self.size.1),
            Scaling::Resample(factors) => mask.resample(factors, self.size),
        })
    }

    fn other_size(&self, size: (usize, usize), full: (usize, usize), path: &Path) -> DataError {
        let in_words = |(width, height): (usize, usize)| format!("{width}×{height}");
        let mut problem = format!("is {}, its image {}", in_words(size), in_words(full));
        if self.micrograph.1 != full {
            problem += &format!(", of which {} are used", in_words(self.micrograph.1));
        }
        let missing = full.1.saturating_sub(size.1);
        // Info bars are some 4 to 15 % of the rows. A few rows are a mistake of rounding.
        let is_bar = missing >= 5 && (2 * full.1..=20 * full.1).contains(&(100 * missing));
        let cure = if size.0 == full.0 && is_bar {
            format!(
                "if the lowest {missing} rows of the image are an info bar, set `crop = {{ bottom = {missing} }}` for the \
                 data set; otherwise export the mask at the size of its image"
            )
        } else {
            "export the mask at the size of its image".into()
        };
        DataError::bad(path, problem, cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn geometry(offset: (usize, usize), part: (usize, usize)) -> Geometry {
        Geometry { offset, part, micrograph: (offset, part), size: part, scaling: Scaling::None }
    }

    fn message(geometry: Geometry, mask: (usize, usize), full: (usize, usize)) -> String {
        let mask = Mask { width: mask.0, height: mask.1, labels: vec![0; mask.0 * mask.1] };
        geometry.mask(mask, full, Path::new("m.png")).unwrap_err().to_string()
    }

    #[test]
    fn a_mask_without_the_rows_of_a_bar_gets_the_hint() {
        let whole = geometry((0, 0), (1024, 943));
        assert_eq!(
            message(whole, (1024, 884), (1024, 943)),
            "m.png: is 1024×884, its image 1024×943; if the lowest 59 rows of the image are an info bar, set `crop = { \
             bottom = 59 }` for the data set; otherwise export the mask at the size of its image"
        );
        for other in [(1024, 500), (1024, 940), (1000, 884), (1024, 1000)] {
            assert!(message(whole, other, (1024, 943)).ends_with("943; export the mask at the size of its image"));
        }
        assert_eq!(
            message(geometry((0, 0), (1024, 900)), (512, 450), (1024, 943)),
            "m.png: is 512×450, its image 1024×943, of which 1024×900 are used; export the mask at the size of its image"
        );
    }

    proptest! {
        /// A marked pixel is at the same place in the image and in its mask, and where the crop says.
        #[test]
        fn image_and_mask_are_cropped_alike(
            (left, top) in (0usize..5, 0usize..5),
            (width, height) in (1usize..20, 1usize..20),
            (right, bottom) in (0usize..5, 0usize..5),
            (x, y) in (0.0..1.0f64, 0.0..1.0f64),
            channels in prop_oneof![Just(1usize), Just(3)],
        ) {
            let full = (left + width + right, top + height + bottom);
            let (x, y) = ((x * width as f64) as usize, (y * height as f64) as usize);
            let mut labels = vec![0; full.0 * full.1];
            labels[(top + y) * full.0 + left + x] = 1;
            let pixels = labels.iter().flat_map(|&l| (0..channels).map(move |c| l * (1 + c as u8))).collect();
            let image = Micrograph { width: full.0, height: full.1, channels, pixels };
            let geometry = geometry((left, top), (width, height));
            let image = geometry.image(image);
            let mask = geometry.mask(Mask { width: full.0, height: full.1, labels }, full, Path::new("m")).unwrap();
            prop_assert_eq!((image.width, image.height, mask.width, mask.height), (width, height, width, height));
            prop_assert_eq!(mask.labels.iter().position(|&l| l == 1), Some(y * width + x));
            prop_assert_eq!(image.pixels.iter().position(|&v| v == 1), Some((y * width + x) * channels));
            // A mask of the part is taken as it is.
            prop_assert_eq!(geometry.mask(mask.clone(), full, Path::new("m")).unwrap(), mask);
        }
    }
}
