//! Which part of an image is used, and at which size it is read: from the experiment's `crop`, `window`, `pixel_size`, `resample` and
//! `resize`, the format's own rule, and the image's metadata.

use super::layout::LayoutImage;
use super::params::DatasetParams;
use super::reader::reader;
use crate::crop::{NoPart, Part};
use crate::geometry::{Geometry, Scaling};
use crate::instrument::{Bar, Instrument};
use crate::{Crop, DataError, Mask, Micrograph, PixelSize, Window, resample};
use std::path::Path;

/// Smallest side of an image after resampling, in pixels.
const SMALLEST: usize = 8;
/// Largest number of pixels of an image after resampling.
const LARGEST: usize = 400_000_000;

/// Where an image comes to lie.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placement {
    /// The part that is used, and its size.
    pub(super) geometry: Geometry,
    /// Size of the file's pixels, across and down, in nm.
    of_file: Option<[f64; 2]>,
    /// Where that comes from.
    pub(super) pixel_size_from: Option<String>,
    /// Width and height in the file, if the experiment has `crop`.
    pub(super) file_size: Option<(usize, usize)>,
}

/// Why an image has no place.
#[derive(Debug)]
pub(super) enum Unplaced {
    /// This is wrong with it.
    Bad(DataError),
    /// Something about it is not known that the experiment needs.
    Unknown(Fact, Unknown),
}

/// What the experiment needs to know of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// The height of its info bar.
    Bar,
    /// The size of its pixels.
    PixelSize,
}

/// An image (its path inside the data set) of which a fact is not known, with the reason if there is one to tell.
pub(super) type Unknown = (String, Option<String>);

impl From<DataError> for Unplaced {
    fn from(error: DataError) -> Self {
        Unplaced::Bad(error)
    }
}

impl Placement {
    /// The place of `image`, which the data set lists as `listed` and which lies at `path`.
    ///
    /// # Errors
    /// A crop that leaves nothing or cannot be known, a window that is not inside, an unknown size of pixels if they are
    /// resampled, and a result that is too small or too large.
    pub(super) fn of(
        params: &DatasetParams,
        (listed, path): (&LayoutImage, &Path),
        image: &Micrograph,
        mask: Option<&Mask>,
        instrument: &Instrument,
    ) -> Result<Self, Unplaced> {
        let (full, name) = ((image.width, image.height), listed.image.as_str());
        let micrograph = match params.crop {
            Some(crop) => cropped(crop, (name, path), full, &instrument.bar)?,
            None => ((0, 0), reader(params.format).crop(params, path, image, mask)?),
        };
        let (offset, part) = match params.window.as_ref().filter(|window| window.cuts(listed.split)) {
            Some(window) => window.part(micrograph).ok_or_else(|| outside(window, path, micrograph.1))?,
            None => micrograph,
        };
        let given = params.pixel_size.as_ref().and_then(|sizes| sizes.of(name)).and_then(PixelSize::nanometres);
        let of_file = given.map(|size| [size, size]).or(instrument.pixel_size);
        let pixel_size_from = match (given, of_file) {
            (Some(_), _) => Some("experiment".into()),
            (None, Some(_)) => instrument.vendor.map(Into::into),
            (None, None) => None,
        };
        let (size, scaling) = match (params.resample.as_ref().and_then(PixelSize::nanometres), params.resize) {
            (Some(wanted), _) => {
                let Some(of_file) = of_file else {
                    return Err(Unplaced::Unknown(Fact::PixelSize, (name.into(), instrument.doubt.clone())));
                };
                resampled(path, part, of_file, wanted)?
            }
            (None, Some(side)) => ((side.get(), side.get()), Scaling::Resize),
            (None, None) => (part, Scaling::None),
        };
        let geometry = Geometry { offset, part, micrograph, size, scaling };
        Ok(Placement { geometry, of_file, pixel_size_from, file_size: params.crop.map(|_| full) })
    }

    /// Size of a pixel as it is read, across and down, in nm.
    pub(super) fn pixel_size(&self) -> Option<[f64; 2]> {
        let ([across, down], Geometry { part, size, .. }) = (self.of_file?, self.geometry);
        Some(match self.geometry.scaling {
            Scaling::None => [across, down],
            Scaling::Resize => [across * part.0 as f64 / size.0 as f64, down * part.1 as f64 / size.1 as f64],
            Scaling::Resample(factors) => [across * factors[0], down * factors[1]],
        })
    }
}

fn cropped(crop: Crop, (name, path): (&str, &Path), full: (usize, usize), bar: &Bar) -> Result<Part, Unplaced> {
    crop.part(full, bar).map_err(|none| match none {
        NoPart::Unknown(reason) => Unplaced::Unknown(Fact::Bar, (name.into(), Some(reason))),
        NoPart::Nothing => {
            let problem = format!("is {}×{}, and `crop` leaves nothing of it", full.0, full.1);
            let cure = "correct `crop`: the margins must be smaller than the image";
            DataError::bad(path, problem, cure).into()
        }
    })
}

fn outside(window: &Window, path: &Path, (width, height): (usize, usize)) -> DataError {
    let problem = format!(
        "is {width}×{height}, and `window` goes to column {} and row {}",
        window.x.saturating_add(window.width),
        window.y.saturating_add(window.height)
    );
    DataError::bad(path, problem, "correct `window`: it must be inside of each image of its splits")
}

fn resampled(
    path: &Path,
    part: (usize, usize),
    of_file: [f64; 2],
    wanted: f64,
) -> Result<((usize, usize), Scaling), DataError> {
    // Sizes that agree but for rounding are left alone.
    let factors = of_file.map(|size| if (wanted / size - 1.0).abs() < 1e-9 { 1.0 } else { wanted / size });
    if factors == [1.0, 1.0] {
        return Ok((part, Scaling::None));
    }
    let size = (resample::length(part.0, factors[0]), resample::length(part.1, factors[1]));
    let too = if size.0.min(size.1) < SMALLEST {
        format!("at least {SMALLEST} pixels a side")
    } else if size.0.saturating_mul(size.1) > LARGEST {
        format!("at most {} megapixels", LARGEST / 1_000_000)
    } else {
        return Ok((size, Scaling::Resample(factors)));
    };
    let words = crate::pixel_size::in_words;
    let problem = format!(
        "has {}×{} pixels of {}, and would have {}×{} of {}; expected {too}",
        part.0,
        part.1,
        words(of_file[0]),
        size.0,
        size.1,
        words(wanted)
    );
    Err(DataError::bad(path, problem, "correct `resample`, or the image's `pixel_size`"))
}

/// One error about all `images` of which `fact` is not known, of `all` images of the data set.
pub(super) fn not_known(root: &Path, fact: Fact, mut images: Vec<Unknown>, all: usize) -> DataError {
    /// Largest number of images that are named.
    const NAMED: usize = 5;
    images.sort();
    let count = images.len();
    let named = images.iter().take(NAMED).map(|(name, reason)| match reason {
        Some(reason) => format!("{name} ({reason})"),
        None => name.clone(),
    });
    let mut names = named.collect::<Vec<_>>().join(", ");
    if count > NAMED {
        names += &format!(" and {} more", count - NAMED);
    }
    let (needs, cure) = match fact {
        Fact::Bar => (
            "`crop` is \"auto\", and the height of the info bar is not known",
            "give the height of the bar: `crop = { bottom = N }`",
        ),
        Fact::PixelSize => (
            "`resample` needs the size of a pixel, which is not known",
            "give `pixel_size`, for all images or as a table by image",
        ),
    };
    DataError::bad(root, format!("{needs} for {count} of {all} images: {names}"), cure)
}
