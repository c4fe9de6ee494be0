//! What all pictures of masks share: sizes of panels, pixels of images and masks in them, panels side by side.

use super::legend::SIZE;
use crate::palette::{self, Colour, INK};
use crate::scene::{Anchor, Scene};
use image::{Rgb, RgbImage, imageops};

/// Room between panels.
pub(super) const GAP: u32 = 8;
/// Height of the captions.
pub(super) const CAPTION: f64 = 26.0;

/// A caption, and the colour of each pixel of the panel below it.
pub(super) type Panel<'a> = (&'static str, &'a dyn Fn(u32, u32) -> Colour);

/// The size of an image, and that of the panels in which it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    /// Width and height of the image in pixels.
    pub(super) size: (u32, u32),
    /// Width and height of a panel in pixels.
    pub(super) panel: (u32, u32),
}

impl Canvas {
    /// Panels for an image of `(width, height)` pixels. Their longer side has `least` to `most` pixels.
    pub(super) fn new((width, height): (usize, usize), least: u32, most: u32) -> anyhow::Result<Canvas> {
        let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
        Ok(Canvas { size: (width, height), panel: panel_size(width, height, least, most) })
    }

    /// The image in the size of a panel, in colour.
    pub(super) fn scaled(self, pixels: &[u8], channels: usize) -> RgbImage {
        let ((width, height), (w, h)) = (self.size, self.panel);
        let image = RgbImage::from_fn(width, height, |x, y| {
            let at = (y as usize * width as usize + x as usize) * channels;
            Rgb(std::array::from_fn(|c| pixels[at + c % channels]))
        });
        let filter = if w < width { imageops::FilterType::Triangle } else { imageops::FilterType::Nearest };
        if (w, h) == (width, height) { image } else { imageops::resize(&image, w, h, filter) }
    }

    /// The label of the pixel of `mask` below the centre of the pixel (x, y) of the panel.
    pub(super) fn label(self, mask: &[u8], x: u32, y: u32) -> u8 {
        let nearest = |at: u32, panel: u32, full: u32| {
            ((2 * u64::from(at) + 1) * u64::from(full) / (2 * u64::from(panel))) as usize
        };
        let ((width, height), (w, h)) = (self.size, self.panel);
        mask[nearest(y, h, height) * width as usize + nearest(x, w, width)]
    }

    /// The width of a picture of `panels` panels.
    pub(super) fn full_width(self, panels: u32) -> u32 {
        panels * self.panel.0 + (panels + 1) * GAP
    }

    /// Captions and panels, and below them `legend`. The picture has the width of the legend.
    ///
    /// # Errors
    /// If the shipped font cannot be read.
    pub(super) fn composed(self, panels: &[Panel<'_>], legend: &Scene) -> anyhow::Result<RgbImage> {
        let (w, h) = self.panel;
        let mut captions = Scene { width: legend.width, height: CAPTION, ..Scene::default() };
        for (number, (name, _)) in (0u32..).zip(panels) {
            let middle = f64::from(GAP + number * (w + GAP)) + f64::from(w) / 2.0;
            captions.text(*name, (middle, CAPTION - 8.0), Anchor::Middle, SIZE, INK);
        }
        let captions = captions.to_image(1)?;
        let legend = legend.to_image(1)?;
        let full_height = captions.height() + h + legend.height();
        let mut picture = RgbImage::from_pixel(captions.width(), full_height, Rgb(palette::WHITE));
        imageops::replace(&mut picture, &captions, 0, 0);
        imageops::replace(&mut picture, &legend, 0, i64::from(captions.height() + h));
        for (number, (_, colour)) in (0u32..).zip(panels) {
            let left = GAP + number * (w + GAP);
            for y in 0..h {
                for x in 0..w {
                    picture.put_pixel(left + x, captions.height() + y, Rgb(colour(x, y)));
                }
            }
        }
        Ok(picture)
    }
}

/// (width, height) of a panel. Images with a side above `most` are scaled down, those below up by a whole factor until their
/// longer side has at least `least` pixels.
pub(super) fn panel_size(width: u32, height: u32, least: u32, most: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= most {
        let factor = least.div_ceil(longer);
        return (width * factor, height * factor);
    }
    let scaled =
        |side: u32| ((u64::from(side) * u64::from(most) * 2 + u64::from(longer)) / (2 * u64::from(longer))).max(1);
    (scaled(width) as u32, scaled(height) as u32)
}
