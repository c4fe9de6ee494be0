//! An image file that is read in bands of rows, so that images larger than the memory can be predicted.

use crate::crop::{NoPart, Part};
use crate::decode::{ImageOptions, Opened, Source, digest_of, open_image, size_of};
use crate::instrument::{Instrument, read_at, side_files};
use crate::{Crop, DataError, Micrograph, PixelSize, PixelSizes, Rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of rows that are looked at together, to see whether RGB is grey.
const BAND: usize = 8 << 20;

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

/// An open image file: cropped, turned upright. The values are those that [`decode_image`](crate::decode::decode_image) gives.
///
/// Strips and tiles of a tif are decoded where their rows are asked for, and few of them are kept. Other files, and tifs that lie
/// on their side or are one compressed piece, are decoded as a whole.
#[derive(Debug)]
pub struct ImageFile {
    path: PathBuf,
    image: Opened,
    offset: (usize, usize),
    size: (usize, usize),
    channels: usize,
    /// Whether RGB is grey in all of the part that is used.
    is_grey: bool,
    scale: Scale,
    digest: String,
    /// Length and time of the last change of a file that is read bit by bit.
    state: Option<(u64, Option<SystemTime>)>,
}

/// The size of pixels.
#[derive(Debug)]
struct Scale {
    pixel_size: Option<[f64; 2]>,
    from: Option<&'static str>,
    doubt: Option<String>,
}

/// What [`ImageFile::pixel_size_from`] says of a size that `read_as` gives.
const GIVEN: &str = "given";

impl ImageFile {
    /// Opens `path`. Of a tif whose pixels decide how it is read (16 bits without `bits`, alpha, colours that may be grey), as
    /// many are read as it takes.
    ///
    /// # Errors
    /// As [`decode_image`](crate::decode::decode_image), as far as it is known before all pixels are read; an unknown info bar
    /// with `crop = "auto"`; a crop that leaves nothing.
    pub fn open(path: &Path, read_as: &ReadAs) -> Result<Self, DataError> {
        let file = open_file(path)?;
        let modified = file.metadata().and_then(|data| data.modified()).ok();
        let source = source(path, file)?;
        let state = (source.length(), modified);
        let opened = Self::of(path, source, read_as)?;
        let is_streamed = opened.is_streamed();
        Ok(ImageFile { state: is_streamed.then_some(state), ..opened })
    }

    /// As [`ImageFile::open`], of a file with the content `bytes`; `path` gives its name and its side file.
    ///
    /// # Errors
    /// As there.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>, read_as: &ReadAs) -> Result<Self, DataError> {
        Self::of(path, Source::Bytes(bytes.into()), read_as)
    }

    fn of(path: &Path, source: Source<'static>, read_as: &ReadAs) -> Result<Self, DataError> {
        let full = size_of(path, &source, read_as.options.page)?;
        let (part, scale) = placed(path, &source, full, read_as)?;
        let (image, digest) = open_image(path, source, &read_as.options)?;
        let (offset, size) = part.map_err(|none| no_part(path, full, none))?;
        let channels = match &image {
            Opened::Whole(image) => image.channels,
            Opened::Parts(parts) => parts.channels(),
        };
        let image = match image {
            Opened::Whole(image) => Opened::Whole(image.crop(offset, size)),
            parts @ Opened::Parts(_) => parts,
        };
        let digest = digest.to_hex().to_string();
        let mut file =
            ImageFile { path: path.into(), image, offset, size, channels, is_grey: false, scale, digest, state: None };
        file.is_grey = file.channels == 3 && file.has_equal_channels()?;
        if file.is_grey {
            file.channels = 1;
        }
        Ok(file)
    }

    /// Size of a pixel across and down, in nm, if the file's metadata or `read_as` say it.
    pub fn pixel_size(&self) -> Option<[f64; 2]> {
        self.scale.pixel_size
    }

    /// Where [`ImageFile::pixel_size`] comes from: `given` by `read_as`, or the vendor whose metadata say it, `FEI`.
    pub fn pixel_size_from(&self) -> Option<&'static str> {
        self.scale.from
    }

    /// Why there is no [`ImageFile::pixel_size`], if the metadata have one that is not this image's.
    pub fn pixel_size_doubt(&self) -> Option<&str> {
        self.scale.doubt.as_deref()
    }

    /// The blake3 of the file, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the image is decoded where its rows are asked for, and is never in memory as a whole.
    pub fn is_streamed(&self) -> bool {
        matches!(self.image, Opened::Parts(_))
    }

    /// Width and height that [`ImageFile::open`] will find, by the header of the file.
    ///
    /// # Errors
    /// As there, as far as the header tells.
    pub fn size_of(path: &Path, read_as: &ReadAs) -> Result<(usize, usize), DataError> {
        let source = source(path, open_file(path)?)?;
        let full = size_of(path, &source, read_as.options.page)?;
        let part = match read_as.crop {
            Some(_) => placed(path, &source, full, read_as)?.0,
            None => Ok(((0, 0), full)),
        };
        Ok(part.map_err(|none| no_part(path, full, none))?.1)
    }

    /// The file beside `path` with its metadata, as some microscopes write it.
    pub fn side_file(path: &Path) -> Option<PathBuf> {
        side_file(path, &path.file_name()?.to_string_lossy())
    }

    /// The blake3 of the file `path`, in hex, as [`ImageFile::digest`], without a look at what is in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn digest_of(path: &Path) -> Result<String, DataError> {
        let source = source(path, open_file(path)?)?;
        Ok(digest_of(path, &source)?.to_hex().to_string())
    }

    /// Whether red, green and blue are equal everywhere in the part that is used.
    fn has_equal_channels(&mut self) -> Result<bool, DataError> {
        let high = (BAND / (self.size.0 * self.channels).max(1)).max(1);
        for top in (0..self.size.1).step_by(high) {
            let band = self.coloured(top..(top + high).min(self.size.1))?;
            if band.grey_if_equal_channels().channels == 3 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rows of the part that is used; grey RGB not yet as grey.
    fn coloured(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        match &mut self.image {
            Opened::Whole(image) => image.rows(rows),
            Opened::Parts(parts) => {
                let (left, top) = self.offset;
                let band = parts.rows(top + rows.start..top + rows.end)?;
                Ok(band.crop((left, 0), (self.size.0, rows.len())))
            }
        }
    }

    /// Refuses a file that was changed after it was opened: its parts would be of different images.
    fn check_unchanged(&self) -> Result<(), DataError> {
        let Some((length, modified)) = self.state else { return Ok(()) };
        let now = fs::metadata(&self.path).map_err(|error| cannot_be_read(&self.path, &error))?;
        if (now.len(), now.modified().ok()) == (length, modified) {
            return Ok(());
        }
        Err(DataError::bad(&self.path, "changed while it was read", "run again when it is complete"))
    }
}

impl Rows for ImageFile {
    fn width(&self) -> usize {
        self.size.0
    }

    fn height(&self) -> usize {
        self.size.1
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        self.check_unchanged()?;
        let band = self.coloured(rows)?;
        if !self.is_grey {
            return Ok(band);
        }
        let pixels = band.pixels.into_iter().step_by(3).collect();
        Ok(Micrograph { channels: 1, pixels, ..band })
    }
}

fn open_file(path: &Path) -> Result<File, DataError> {
    let file = File::open(path).map_err(|error| cannot_be_read(path, &error))?;
    let data = file.metadata().map_err(|error| cannot_be_read(path, &error))?;
    if !data.is_file() {
        return Err(DataError::bad(path, "not a file", "name an image file"));
    }
    Ok(file)
}

fn source(path: &Path, file: File) -> Result<Source<'static>, DataError> {
    let length = file.metadata().map_err(|error| cannot_be_read(path, &error))?.len();
    Ok(Source::File(file, length))
}

fn cannot_be_read(path: &Path, error: &std::io::Error) -> DataError {
    match error.kind() {
        std::io::ErrorKind::NotFound => DataError::not_there(path, "put the file back, or correct its name"),
        _ => DataError::bad(path, format!("cannot be read ({error})"), "check its permissions and its disk"),
    }
}

/// The part of an image of the size `full` that is used, and the size of its pixels.
fn placed(
    path: &Path,
    source: &Source<'_>,
    full: (usize, usize),
    read_as: &ReadAs,
) -> Result<(Result<Part, NoPart>, Scale), DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Instrument { vendor, pixel_size, doubt, bar } = instrument(path, &name, source, full)?;
    let part = read_as.crop.map_or(Ok(((0, 0), full)), |crop| crop.part(full, &bar));
    let given = read_as.pixel_size.as_ref().and_then(|sizes| sizes.of(&name)).and_then(PixelSize::nanometres);
    let scale = match given {
        Some(size) => Scale { pixel_size: Some([size, size]), from: Some(GIVEN), doubt: None },
        None => Scale { pixel_size, from: vendor.filter(|_| pixel_size.is_some()), doubt },
    };
    Ok((part, scale))
}

fn side_file(path: &Path, name: &str) -> Option<PathBuf> {
    side_files(&[(name.to_owned(), path.to_owned())]).into_iter().next().map(|(_, side)| side)
}

/// What the metadata of the file and of its side file say.
fn instrument(path: &Path, name: &str, source: &Source<'_>, full: (usize, usize)) -> Result<Instrument, DataError> {
    /// Bytes of a side file that are read, at most; they have a few thousand.
    const SIDE_FILE: u64 = 1 << 20;
    let side = match side_file(path, name) {
        Some(side) => {
            let mut text = Vec::new();
            let read = File::open(&side).and_then(|file| file.take(SIDE_FILE).read_to_end(&mut text));
            read.map_err(|error| cannot_be_read(&side, &error))?;
            Some(text)
        }
        None => None,
    };
    let inside = |at: u64, length: usize| Some(source.read(at, length).ok()??.into_owned());
    Ok(read_at(&inside, side.as_deref(), full))
}

fn no_part(path: &Path, (width, height): (usize, usize), none: NoPart) -> DataError {
    match none {
        NoPart::Unknown(reason) => DataError::bad(
            path,
            format!("the height of its info bar is to be found by its metadata, and is not known: {reason}"),
            "give the height of the bar: `--crop bottom=60` (0 if there is none)",
        ),
        NoPart::Nothing => DataError::bad(
            path,
            format!("is {width}×{height}, and `--crop` leaves nothing of it"),
            "correct `--crop`: the margins must be smaller than the image",
        ),
    }
}

#[cfg(test)]
mod tests;
