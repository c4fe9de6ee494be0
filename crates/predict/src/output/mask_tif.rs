//! TIFF files of masks, written strip by strip.

use super::encoder_error::of_tiff;
use super::spooled::Spooled;
use super::whole_file::{WholeFile, Write};
use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use std::io::Write as _;
use std::path::Path;
use tiff::encoder::colortype::ColorType;
use tiff::encoder::{ImageEncoder, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, ResolutionUnit, Tag};

/// Bytes of a strip before compression.
const STRIP: usize = 1 << 18;
/// Bytes from which on a file is a BigTIFF: classic TIFF ends at 4 GiB.
const BIG: u64 = (4 << 30) - (64 << 20);

/// A mask as a grey TIFF.
pub(super) struct MaskTif {
    file: WholeFile,
    labels: Spooled,
    size: (usize, usize),
    pixel_size: Option<[f64; 2]>,
}

impl MaskTif {
    /// A file of `size` (width, height).
    pub(super) fn create(work: &Path, path: &Path, size: (usize, usize), pixel_size: Option<[f64; 2]>) -> Result<Self> {
        let file = WholeFile::create(work, path)?;
        Ok(MaskTif { file, labels: Spooled::create(work)?, size, pixel_size })
    }

    /// Adds rows of values.
    pub(super) fn add(&mut self, rows: &[u8]) -> Result<()> {
        self.labels.append(rows)
    }

    /// Writes the file and gives it its name.
    pub(super) fn finish(mut self) -> Result<()> {
        let bytes = self.size.0 as u64 * self.size.1 as u64;
        let writer = self.file.writer()?;
        let written =
            if bytes < BIG { self.encode::<TiffKindStandard>(writer) } else { self.encode::<TiffKindBig>(writer) };
        written.with_context(|| format!("{}: cannot be written", self.file.path().display()))?;
        self.file.finish()?;
        Ok(())
    }

    /// The directory is written tag by tag, because `ImageEncoder` of tiff 0.11 compresses only images that are in memory.
    fn encode<K: TiffKind>(&mut self, writer: Write) -> Result<()> {
        let [width, height] = [self.size.0, self.size.1].map(u32::try_from);
        let (width, height) = (width?, height?);
        let rows = (STRIP / self.size.0.max(1)).clamp(1, self.size.1);
        let mut encoder = TiffEncoder::<_, K>::new_generic(writer).map_err(of_tiff)?;
        let mut directory = encoder.image_directory().map_err(of_tiff)?;
        let (mut offsets, mut counts) = (Vec::new(), Vec::new());
        let strips: Vec<usize> = (0..self.size.1).step_by(rows).collect();
        for some in strips.chunks(rayon::current_num_threads()) {
            let compress = |&top: &usize| {
                let count = rows.min(self.size.1 - top) * self.size.0;
                let mut strip = ZlibEncoder::new(Vec::new(), Compression::fast());
                strip.write_all(&self.labels.read((top * self.size.0) as u64, count)?)?;
                Ok(strip.finish()?)
            };
            let compressed = some.par_iter().map(compress).collect::<Result<Vec<Vec<u8>>>>()?;
            for strip in compressed {
                let offset = directory.write_data(strip.as_slice()).map_err(of_tiff)?;
                offsets.push(K::convert_offset(offset).map_err(of_tiff)?);
                counts.push(K::convert_offset(strip.len() as u64).map_err(of_tiff)?);
            }
        }
        let mut tag = |tag, value: u32| directory.write_tag(tag, value).map_err(of_tiff);
        tag(Tag::ImageWidth, width)?;
        tag(Tag::ImageLength, height)?;
        tag(Tag::RowsPerStrip, u32::try_from(rows)?)?;
        let mut tag = |tag, value: u16| directory.write_tag(tag, value).map_err(of_tiff);
        tag(Tag::BitsPerSample, 8)?;
        tag(Tag::SamplesPerPixel, 1)?;
        tag(Tag::Compression, CompressionMethod::Deflate.to_u16())?;
        tag(Tag::PhotometricInterpretation, PhotometricInterpretation::BlackIsZero.to_u16())?;
        let resolution = self.pixel_size.and_then(per_centimetre);
        if let Some([across, down]) = resolution {
            tag(Tag::ResolutionUnit, ResolutionUnit::Centimeter.to_u16())?;
            directory.write_tag(Tag::XResolution, across).map_err(of_tiff)?;
            directory.write_tag(Tag::YResolution, down).map_err(of_tiff)?;
        }
        directory.write_tag(Tag::StripOffsets, K::convert_slice(&offsets)).map_err(of_tiff)?;
        directory.write_tag(Tag::StripByteCounts, K::convert_slice(&counts)).map_err(of_tiff)?;
        directory.finish().map_err(of_tiff)
    }
}

/// A pixel's size (nm) as pixels a centimetre; `None` if it does not fit.
fn per_centimetre(pixel_size: [f64; 2]) -> Option<[Rational; 2]> {
    let [across, down] = pixel_size.map(|nanometres| rational(1e7 / nanometres));
    Some([across?, down?])
}

/// Writes the size of a pixel (nm) as pixels a centimetre.
pub(super) fn set_resolution<C: ColorType, K: TiffKind>(
    image: &mut ImageEncoder<'_, Write, C, K>,
    pixel_size: Option<[f64; 2]>,
) where
    [C::Inner]: TiffValue,
{
    let Some([across, down]) = pixel_size.and_then(per_centimetre) else { return };
    image.resolution_unit(ResolutionUnit::Centimeter);
    image.x_resolution(across);
    image.y_resolution(down);
}

/// `number` as a fraction of 32-bit numbers, to at least six digits; `None` if it is too small or too large.
fn rational(number: f64) -> Option<Rational> {
    let d = [1_000_000u32, 1_000, 1].into_iter().find(|&d| number * f64::from(d) <= f64::from(u32::MAX))?;
    let n = (number * f64::from(d)).round() as u32;
    (n >= 1).then_some(Rational { n, d })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_read_as_it_was_written() {
        // One strip, and several.
        for size in [(5, 3), (96, 64), (1500, 1400)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("mask.tif");
            let mut mask = MaskTif::create(folder.path(), &path, size, Some([50.0, 50.0])).unwrap();
            let values: Vec<u8> = (0..size.0 * size.1).map(|i| (i / 7 % 251) as u8).collect();
            values.chunks(size.0 * 2).for_each(|rows| mask.add(rows).unwrap());
            mask.finish().unwrap();
            let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
            let tiff::decoder::DecodingResult::U8(found) = decoder.read_image().unwrap() else { panic!("not 8 bits") };
            assert!(found == values, "{size:?}");
        }
    }

    #[test]
    fn sizes_of_pixels_fit_into_fractions() {
        let value = |number: f64| rational(number).map(|r| f64::from(r.n) / f64::from(r.d));
        // 50 nm are 200,000 pixels a centimetre, 0.5 nm are 2e7, 1 mm are 10.
        assert_eq!([200_000.0, 2e7, 10.0].map(value), [Some(200_000.0), Some(2e7), Some(10.0)]);
        assert!((value(123.456_789).unwrap() / 123.456_789 - 1.0).abs() < 1e-6);
        assert_eq!([value(1e10), value(1e-9)], [None, None]);
    }
}
