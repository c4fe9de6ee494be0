//! TIFF files of masks, written strip by strip.

use super::encoder_error::of_tiff;
use super::spooled::Spooled;
use super::whole_file::{WholeFile, Write};
use anyhow::{Context, Result};
use std::path::Path;
use tiff::encoder::colortype::{ColorType, Gray8};
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{
    Compression, ImageEncoder, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue,
};
use tiff::tags::ResolutionUnit;

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

    fn encode<K: TiffKind>(&mut self, writer: Write) -> Result<()> {
        let compression = Compression::Deflate(DeflateLevel::Balanced);
        let mut encoder = TiffEncoder::<_, K>::new_generic(writer).map_err(of_tiff)?.with_compression(compression);
        let mut image =
            encoder.new_image::<Gray8>(u32::try_from(self.size.0)?, u32::try_from(self.size.1)?).map_err(of_tiff)?;
        set_resolution(&mut image, self.pixel_size);
        let mut at = 0;
        loop {
            let count = image.next_strip_sample_count() as usize;
            if count == 0 {
                break;
            }
            image.write_strip(&self.labels.read(at, count)?).map_err(of_tiff)?;
            at += count as u64;
        }
        image.finish().map_err(of_tiff)?;
        Ok(())
    }
}

/// Writes the size of a pixel (nm) as pixels a centimetre.
pub(super) fn set_resolution<C: ColorType, K: TiffKind>(
    image: &mut ImageEncoder<'_, Write, C, K>,
    pixel_size: Option<[f64; 2]>,
) where
    [C::Inner]: TiffValue,
{
    let Some(pixel_size) = pixel_size else { return };
    let [across, down] = pixel_size.map(|nanometres| rational(1e7 / nanometres));
    let (Some(across), Some(down)) = (across, down) else { return };
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
        // More than one strip: those of tiff hold a million bytes.
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
