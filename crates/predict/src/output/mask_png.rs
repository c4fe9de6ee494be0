//! PNG files of bytes that are written row by row.

use super::encoder_error::of_png;
use super::whole_file::{WholeFile, Write};
use anyhow::{Context, Result};
use png::{BitDepth, ColorType, Compression, Encoder, Filter, PixelDimensions, StreamWriter, Unit};
use std::io::Write as _;
use std::path::Path;

/// A PNG file of one byte a pixel.
pub(super) struct BytePng {
    file: WholeFile,
    writer: StreamWriter<'static, Write>,
}

/// How its bytes are shown.
pub(super) enum Shown<'a> {
    /// As grey.
    Grey,
    /// By a palette, RGB.
    Palette(&'a [u8]),
}

impl BytePng {
    /// A file of `size` (width, height) whose pixels have the size `pixel_size` (nm, across and down), if that is known.
    pub(super) fn create(
        work: &Path,
        path: &Path,
        size: (usize, usize),
        shown: &Shown<'_>,
        pixel_size: Option<[f64; 2]>,
    ) -> Result<Self> {
        let file = WholeFile::create(work, path)?;
        let mut encoder = Encoder::new(file.writer()?, u32::try_from(size.0)?, u32::try_from(size.1)?);
        encoder.set_depth(BitDepth::Eight);
        match shown {
            Shown::Grey => {
                encoder.set_color(ColorType::Grayscale);
                encoder.set_filter(Filter::Up);
                encoder.set_compression(Compression::Fast);
            }
            Shown::Palette(palette) => {
                encoder.set_color(ColorType::Indexed);
                encoder.set_palette(palette.to_vec());
                // Labels are no amounts: their differences say nothing. Runs of them compress well as they are.
                encoder.set_compression(Compression::Balanced);
                encoder.set_filter(Filter::NoFilter);
            }
        }
        encoder.set_pixel_dims(pixel_size.and_then(per_metre));
        let writer = encoder.write_header().and_then(|writer| writer.into_stream_writer_with_size(1 << 16));
        let writer = writer.map_err(of_png).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(BytePng { file, writer })
    }

    /// Adds rows.
    pub(super) fn add(&mut self, rows: &[u8]) -> Result<()> {
        self.writer.write_all(rows).with_context(|| format!("{}: cannot be written", self.file.path().display()))
    }

    /// Ends the file and gives it its name.
    pub(super) fn finish(self) -> Result<()> {
        let finished = self.writer.finish().map_err(of_png);
        finished.with_context(|| format!("{}: cannot be written", self.file.path().display()))?;
        self.file.finish()?;
        Ok(())
    }
}

/// Pixels a metre, as PNG wants them; `None` if they do not fit.
fn per_metre(pixel_size: [f64; 2]) -> Option<PixelDimensions> {
    let [xppu, yppu] = pixel_size.map(|nanometres| (1e9 / nanometres).round());
    let fits = |number: f64| (1.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32);
    Some(PixelDimensions { xppu: fits(xppu)?, yppu: fits(yppu)?, unit: Unit::Meter })
}
