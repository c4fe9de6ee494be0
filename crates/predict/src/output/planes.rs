//! Probabilities as float16, one plane a class.

use super::ProbabilityFormat;
use super::encoder_error::{of_tiff, of_zip};
use super::mask_tif::set_resolution;
use super::spooled::Spooled;
use super::whole_file::{WholeFile, Write};
use crate::engine::Band;
use anyhow::{Context, Result};
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::io::Write as _;
use std::path::Path;
use tiff::encoder::colortype::ColorType;
use tiff::encoder::{TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard};
use tiff::tags::{PhotometricInterpretation, SampleFormat};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Name of the array in an npz file.
const ARRAY: &str = "probabilities";
/// Bytes copied at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes from which on a TIFF is a BigTIFF.
const BIG: u64 = (4 << 30) - (64 << 20);

/// Bands come with all classes of a row, files want one class after the other: the planes wait on disk.
pub(super) struct Planes {
    file: WholeFile,
    format: ProbabilityFormat,
    planes: Spooled,
    classes: usize,
    size: (usize, usize),
    pixel_size: Option<[f64; 2]>,
}

impl Planes {
    pub(super) fn create(
        format: ProbabilityFormat,
        work: &Path,
        path: &Path,
        classes: usize,
        size: (usize, usize),
        pixel_size: Option<[f64; 2]>,
    ) -> Result<Self> {
        let (file, planes) = (WholeFile::create(work, path)?, Spooled::create(work)?);
        Ok(Planes { file, format, planes, classes, size, pixel_size })
    }

    fn plane_bytes(&self) -> u64 {
        2 * self.size.0 as u64 * self.size.1 as u64
    }

    pub(super) fn add(&mut self, band: &Band) -> Result<()> {
        let offset = 2 * (band.top as u64 * self.size.0 as u64);
        let mut plane = vec![0f32; band.labels.len()];
        let mut halves = vec![f16::ZERO; plane.len()];
        for class in 0..self.classes {
            let of_class = band.probabilities.iter().skip(class).step_by(self.classes);
            plane.iter_mut().zip(of_class).for_each(|(to, from)| *to = *from);
            halves.convert_from_f32_slice(&plane);
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            self.planes.write(class as u64 * self.plane_bytes() + offset, &bytes)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        let writer = self.file.writer()?;
        let written = match self.format {
            ProbabilityFormat::Npz => self.npz(writer),
            ProbabilityFormat::Tif if self.classes as u64 * self.plane_bytes() < BIG => {
                self.tif::<TiffKindStandard>(writer)
            }
            ProbabilityFormat::Tif => self.tif::<TiffKindBig>(writer),
        };
        written.with_context(|| format!("{}: cannot be written", self.file.path().display()))?;
        self.file.finish()?;
        Ok(())
    }

    /// As `numpy.savez` does: a zip file with one array, stored.
    fn npz(&self, writer: Write) -> Result<()> {
        let bytes = self.classes as u64 * self.plane_bytes();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(bytes >= BIG);
        let mut zip = ZipWriter::new(writer);
        zip.start_file(format!("{ARRAY}.npy"), options).map_err(of_zip)?;
        zip.write_all(&npy_header([self.classes, self.size.1, self.size.0]))?;
        let mut at = 0;
        while at < bytes {
            let count = CHUNK.min(bytes - at);
            zip.write_all(&self.planes.read(at, count as usize)?)?;
            at += count;
        }
        zip.finish().map_err(of_zip)?.flush()?;
        Ok(())
    }

    fn tif<K: TiffKind>(&self, writer: Write) -> Result<()> {
        let mut encoder = TiffEncoder::<_, K>::new_generic(writer).map_err(of_tiff)?;
        let (width, height) = (u32::try_from(self.size.0)?, u32::try_from(self.size.1)?);
        for class in 0..self.classes {
            let mut image = encoder.new_image::<GreyHalf>(width, height).map_err(of_tiff)?;
            set_resolution(&mut image, self.pixel_size);
            let mut at = class as u64 * self.plane_bytes();
            loop {
                let count = image.next_strip_sample_count() as usize;
                if count == 0 {
                    break;
                }
                let bytes = self.planes.read(at, 2 * count)?;
                let halves: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|&half| u16::from_le_bytes(half)).collect();
                image.write_strip(&halves).map_err(of_tiff)?;
                at += 2 * count as u64;
            }
            image.finish().map_err(of_tiff)?;
        }
        Ok(())
    }
}

/// One float16 a pixel; the numbers are given by their bits.
struct GreyHalf;

impl ColorType for GreyHalf {
    type Inner = u16;
    const TIFF_VALUE: PhotometricInterpretation = PhotometricInterpretation::BlackIsZero;
    const BITS_PER_SAMPLE: &'static [u16] = &[16];
    const SAMPLE_FORMAT: &'static [SampleFormat] = &[SampleFormat::IEEEFP];

    fn horizontal_predict(row: &[u16], result: &mut Vec<u16>) {
        // Never asked for: floats have no such predictor.
        result.extend_from_slice(row);
    }
}

/// The header of an npy file, version 1.0, of float16 in C order: padded so that the data begin at a multiple of 64
/// (numpy's `lib/format.py`).
fn npy_header(shape: [usize; 3]) -> Vec<u8> {
    let [a, b, c] = shape;
    let mut text = format!("{{'descr': '<f2', 'fortran_order': False, 'shape': ({a}, {b}, {c}), }}");
    // Magic, version and length take 10 bytes, the line's end one.
    let padding = (64 - (10 + text.len() + 1) % 64) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn band(top: usize, rows: usize) -> Band {
        let value = |pixel: usize| (top * 3 + pixel) as f32 / 16.0;
        let probabilities = (0..rows * 3).flat_map(|pixel| [1.0 - value(pixel), value(pixel)]).collect();
        Band { top, rows, width: 3, labels: vec![0; rows * 3], probabilities, disagreement: None }
    }

    fn written(format: ProbabilityFormat) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("p.{}", format.extension()));
        let mut planes = Planes::create(format, folder.path(), &path, 2, (3, 4), Some([50.0, 50.0])).unwrap();
        planes.add(&band(0, 3)).unwrap();
        planes.add(&band(3, 1)).unwrap();
        planes.finish().unwrap();
        (folder, path)
    }

    #[test]
    fn an_npz_file_holds_one_plane_a_class() {
        let (_folder, path) = written(ProbabilityFormat::Npz);
        let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        let mut bytes = Vec::new();
        zip.by_name("probabilities.npy").unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 128 + 2 * 2 * 12);
        let text = String::from_utf8_lossy(&bytes[..128]).into_owned();
        assert!(text.contains("'descr': '<f2', 'fortran_order': False, 'shape': (2, 4, 3), }"), "{text}");
        let values: Vec<f32> =
            bytes[128..].as_chunks::<2>().0.iter().map(|&half| f16::from_le_bytes(half).to_f32()).collect();
        let second: Vec<f32> = (0..12).map(|pixel| pixel as f32 / 16.0).collect();
        assert_eq!(values[12..], second);
        assert!(values[..12].iter().zip(&second).all(|(a, b)| a + b == 1.0));
    }

    #[test]
    fn a_tif_file_has_a_page_a_class() {
        let (_folder, path) = written(ProbabilityFormat::Tif);
        let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
        assert_eq!(decoder.dimensions().unwrap(), (3, 4));
        assert!(decoder.more_images());
        decoder.next_image().unwrap();
        assert!(!decoder.more_images());
        let tiff::decoder::DecodingResult::F16(values) = decoder.read_image().unwrap() else { panic!("not float16") };
        let values: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
        assert_eq!(values, (0..12).map(|pixel| pixel as f32 / 16.0).collect::<Vec<f32>>());
        // 50 nm are 200,000 pixels a centimetre.
        let resolution = decoder.get_tag(tiff::tags::Tag::XResolution).unwrap();
        assert_eq!(resolution, tiff::decoder::ifd::Value::Rational(200_000_000, 1000));
    }
}
