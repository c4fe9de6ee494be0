//! The overlay of an image and its thumbnail: the image with its classes in colour, scaled down by a whole number if it is large.

use super::whole_file::WholeFile;
use crate::model::ClassDescription;
use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage, imageops};
use matssl_data::{Micrograph, RGB};
use matssl_report::overlay::{LegendStrip, Scale};
use std::path::Path;

/// Largest number of pixels of an overlay.
const PIXELS: usize = 16 << 20;
/// Longest side of an overlay: JPEG ends at 65,535, viewers before that.
const SIDE: usize = 1 << 14;
/// Longest side of a thumbnail.
const THUMBNAIL: u32 = 320;
/// Least width of an overlay's legend.
const LEGEND: u32 = 320;
/// Opacity of the classes over the image, as in `data --preview`. Where classes meet, their colours are full.
const OPACITY: f64 = 0.45;
/// Of JPEG, from 1 to 100.
const QUALITY: u8 = 90;

/// The image and its labels, scaled down as their rows come.
pub(super) struct Picture {
    /// Pixels of the image for one of the picture, across and down.
    factor: usize,
    width: usize,
    labels: Vec<u8>,
    row: usize,
}

/// The image of a picture, scaled down as its rows come.
pub struct Shrunk {
    factor: usize,
    size: (usize, usize),
    /// Channels: 1 or 3.
    channels: usize,
    /// Of the rows that are not complete yet.
    sums: Vec<u32>,
    rows: usize,
    pixels: Vec<u8>,
}

/// The smallest factor at which an image of `size` is no larger than an overlay may be.
fn factor((width, height): (usize, usize)) -> usize {
    let fits = |factor: usize| {
        let (width, height) = (width.div_ceil(factor), height.div_ceil(factor));
        width * height <= PIXELS && width.max(height) <= SIDE
    };
    (1..).find(|&factor| fits(factor)).unwrap_or(1)
}

impl Shrunk {
    /// No rows yet, of an image of `size` (width, height).
    pub fn new(size: (usize, usize)) -> Self {
        Shrunk { factor: factor(size), size, channels: 0, sums: Vec::new(), rows: 0, pixels: Vec::new() }
    }

    /// Adds the next rows.
    pub fn add(&mut self, rows: &Micrograph) {
        let shown = if matches!(rows.channels, 1 | RGB) { None } else { Some(rows.clone().visible()) };
        let rows = shown.as_ref().unwrap_or(rows);
        self.channels = rows.channels;
        let (factor, width) = (self.factor, rows.width.div_ceil(self.factor));
        if factor == 1 {
            self.pixels.extend_from_slice(&rows.pixels);
            return;
        }
        self.sums.resize(width * rows.channels, 0);
        for row in rows.pixels.chunks_exact(rows.width * rows.channels) {
            for (x, pixel) in row.chunks_exact(rows.channels).enumerate() {
                let sums = &mut self.sums[x / factor * rows.channels..][..rows.channels];
                sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
            }
            self.rows += 1;
            if self.rows.is_multiple_of(factor) || self.rows == self.size.1 {
                let height = (self.rows - 1) % factor + 1;
                for (i, sum) in self.sums.iter_mut().enumerate() {
                    let x = i / rows.channels;
                    let count = (height * factor.min(rows.width - x * factor)) as u32;
                    self.pixels.push(((*sum + count / 2) / count) as u8);
                    *sum = 0;
                }
            }
        }
    }
}

impl Picture {
    pub(super) fn new(size: (usize, usize)) -> Self {
        Picture { factor: factor(size), width: size.0, labels: Vec::new(), row: 0 }
    }

    /// Adds the next rows of labels: of each square of pixels, that in the middle.
    pub(super) fn add(&mut self, labels: &[u8]) {
        let (factor, width) = (self.factor, self.width);
        for row in labels.chunks_exact(width) {
            if self.row % factor == factor / 2 {
                let middle = |x: usize| row[(x * factor + factor / 2).min(width - 1)];
                self.labels.extend((0..width.div_ceil(factor)).map(middle));
            }
            self.row += 1;
        }
        // The last rows may end before their middle.
    }

    /// Writes the overlay with its legend, and the thumbnail.
    pub(super) fn finish(
        mut self,
        image: &Shrunk,
        classes: &[ClassDescription],
        pixel_size: Option<[f64; 2]>,
        work: &Path,
        (overlay, thumbnail): (&Path, &Path),
    ) -> Result<()> {
        let width = self.width.div_ceil(self.factor);
        let height = image.size.1.div_ceil(image.factor);
        let rows = self.labels.len() / width;
        if rows < height && rows > 0 {
            self.labels.extend_from_within((rows - 1) * width..);
        }
        self.labels.resize(width * height, 0);
        let picture = blended(image, &self.labels, (width, height), classes)?;
        let small = imageops::thumbnail(&picture, scaled(width, height, width), scaled(width, height, height));
        WholeFile::write(work, thumbnail, &jpeg(&small)?)?;
        let named: Vec<(String, [u8; 3])> = classes.iter().map(|class| (class.name.clone(), class.color.0)).collect();
        let legend = LegendStrip {
            classes: &named,
            width: picture.width().max(LEGEND),
            picture: picture.width(),
            image_width: self.width,
            scale: pixel_size.map(|[across, down]| Scale { across: across / 1e3, down: down / 1e3 }),
        };
        let legend = legend.render()?;
        let mut whole = RgbImage::from_pixel(legend.width(), picture.height() + legend.height(), Rgb([255; 3]));
        imageops::replace(&mut whole, &picture, 0, 0);
        imageops::replace(&mut whole, &legend, 0, i64::from(picture.height()));
        WholeFile::write(work, overlay, &jpeg(&whole)?)
    }
}

/// `side` in a thumbnail of an image of `width` × `height`.
fn scaled(width: usize, height: usize, side: usize) -> u32 {
    let longer = width.max(height) as u32;
    let side = side as u32;
    if longer <= THUMBNAIL { side } else { (side * THUMBNAIL / longer).max(1) }
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture).context("encoding a JPEG")?;
    Ok(bytes)
}

fn blended(
    image: &Shrunk,
    labels: &[u8],
    (width, height): (usize, usize),
    classes: &[ClassDescription],
) -> Result<RgbImage> {
    anyhow::ensure!(image.pixels.len() == width * height * image.channels, "an overlay of another size than its image");
    let colours: Vec<[u8; 3]> = classes.iter().map(|class| class.color.0).collect();
    let pixel = |x: u32, y: u32| {
        let at = y as usize * width + x as usize;
        let (x, y, own) = (x as usize, y as usize, labels[at]);
        let is_edge = (x > 0 && labels[at - 1] != own)
            || (x + 1 < width && labels[at + 1] != own)
            || (y > 0 && labels[at - width] != own)
            || (y + 1 < height && labels[at + width] != own);
        let colour = colours[usize::from(own)];
        if is_edge {
            return Rgb(colour);
        }
        let shown = &image.pixels[at * image.channels..][..image.channels];
        Rgb(std::array::from_fn(|c| {
            let under = f64::from(shown[if image.channels == 1 { 0 } else { c }]);
            (under * (1.0 - OPACITY) + f64::from(colour[c]) * OPACITY).round() as u8
        }))
    };
    Ok(RgbImage::from_fn(width as u32, height as u32, pixel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_data::Color;

    #[test]
    fn large_images_are_scaled_down_by_whole_numbers() {
        assert_eq!([(1280, 960), (4096, 4096), (4097, 4096), (20_000, 20_000)].map(factor), [1, 1, 2, 5]);
        assert_eq!(factor((20_000, 100)), 2);
        let mut shrunk = Shrunk { factor: 2, ..Shrunk::new((3, 3)) };
        shrunk.add(&Micrograph { width: 3, height: 1, channels: 1, pixels: vec![0, 10, 20] });
        shrunk.add(&Micrograph { width: 3, height: 2, channels: 1, pixels: vec![10, 20, 40, 6, 8, 9] });
        assert_eq!(shrunk.pixels, [10, 30, 7, 9]);
        let mut picture = Picture { factor: 2, ..Picture::new((3, 3)) };
        picture.add(&[0, 0, 0]);
        picture.add(&[0, 1, 2]);
        picture.add(&[3, 3, 3]);
        assert_eq!(picture.labels, [1, 2]);
    }

    #[test]
    fn the_overlay_shows_classes_over_the_image_and_their_edges_in_full() {
        let class = |name: &str, value, color| ClassDescription {
            name: name.into(),
            value,
            color: Color(color),
            ignored: false,
        };
        let classes = [class("a", 0, [0, 0, 0]), class("b", 9, [200, 100, 0])];
        let mut image = Shrunk::new((4, 1));
        image.add(&Micrograph { width: 4, height: 1, channels: 1, pixels: vec![100; 4] });
        let picture = blended(&image, &[0, 0, 1, 1], (4, 1), &classes).unwrap();
        let found: Vec<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(found, [[55; 3], [0; 3], [200, 100, 0], [145, 100, 55]]);
    }
}
