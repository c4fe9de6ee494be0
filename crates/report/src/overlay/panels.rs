//! The picture.

use super::errors::{OPACITY, judged, stripe};
use super::legend::{Legend, SIZE};
use super::scale::Scale;
use crate::palette::{self, Colour, INK, blend};
use crate::scene::{Anchor, Scene};
use image::{Rgb, RgbImage, imageops};

/// Maximum length of a panel's longer side in pixels; the least is half of it.
const PANEL: u32 = 512;
/// Room between panels.
pub(super) const GAP: u32 = 8;
/// Height of the captions.
const CAPTION: f64 = 26.0;

/// A caption, and the colour of each pixel of the panel below it.
type Panel<'a> = (&'static str, &'a dyn Fn(u32, u32) -> Colour);

/// One image with its masks, all row by row.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The micrograph, `[height, width, channels]`.
    pub image: &'a [u8],
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// True classes, `[height, width]`.
    pub truth: &'a [u8],
    /// Predicted classes, `[height, width]`.
    pub prediction: &'a [u8],
    /// The label in `truth` that means unknown.
    pub ignore: Option<u8>,
    /// Names of classes, by label.
    pub classes: &'a [String],
    /// The size of a pixel, if it is known. Otherwise the scale bar is in pixels.
    pub scale: Option<Scale>,
}

impl Panels<'_> {
    /// The four panels with their captions, and below them the legend and a scale bar.
    ///
    /// # Errors
    /// If the sizes do not fit together, or the shipped font cannot be read.
    pub fn render(&self) -> anyhow::Result<RgbImage> {
        self.check()?;
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let (w, h) = panel_size(width, height);
        let image = self.scaled_image((width, height), (w, h));
        // The pixel of the masks below the centre of a pixel of the panel.
        let nearest = |at: u32, panel: u32, full: u32| {
            ((2 * u64::from(at) + 1) * u64::from(full) / (2 * u64::from(panel))) as usize
        };
        let label = |mask: &[u8], x, y| mask[nearest(y, h, height) * self.width + nearest(x, w, width)];
        let unknown = |x, y| Some(label(self.truth, x, y)) == self.ignore;
        let panels: [Panel; 4] = [
            ("input", &|x, y| image.get_pixel(x, y).0),
            ("truth", &|x, y| if unknown(x, y) { stripe(x, y) } else { palette::class(label(self.truth, x, y)) }),
            ("prediction", &|x, y| palette::class(label(self.prediction, x, y))),
            ("errors", &|x, y| {
                if unknown(x, y) {
                    return stripe(x, y);
                }
                let under = image.get_pixel(x, y).0;
                judged(label(self.truth, x, y), label(self.prediction, x, y))
                    .map_or(under, |colour| blend(under, colour, OPACITY))
            }),
        ];
        self.composed((w, h), &panels)
    }

    pub(super) fn legend(&self) -> Legend<'_> {
        Legend {
            classes: self.classes,
            has_unknown: self.truth.iter().any(|&label| Some(label) == self.ignore),
            image_width: self.width,
            scale: self.scale,
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        let pixels = self.width * self.height;
        anyhow::ensure!(
            pixels > 0
                && [1, 3].contains(&self.channels)
                && self.image.len() == pixels * self.channels
                && self.truth.len() == pixels
                && self.prediction.len() == pixels,
            "image ({} values), truth ({}) and prediction ({}) are not all of {}×{} pixels",
            self.image.len(),
            self.truth.len(),
            self.prediction.len(),
            self.width,
            self.height,
        );
        Ok(())
    }

    /// The image in the size of a panel, in colour.
    fn scaled_image(&self, (width, height): (u32, u32), (w, h): (u32, u32)) -> RgbImage {
        let image = RgbImage::from_fn(width, height, |x, y| {
            let at = (y as usize * self.width + x as usize) * self.channels;
            Rgb(std::array::from_fn(|c| self.image[at + c % self.channels]))
        });
        let filter = if w < width { imageops::FilterType::Triangle } else { imageops::FilterType::Nearest };
        if (w, h) == (width, height) { image } else { imageops::resize(&image, w, h, filter) }
    }

    /// Captions, panels of `w` × `h` pixels, legend.
    fn composed(&self, (w, h): (u32, u32), panels: &[Panel]) -> anyhow::Result<RgbImage> {
        let full_width = 4 * w + 5 * GAP;
        let mut captions = Scene { width: f64::from(full_width), height: CAPTION, ..Scene::default() };
        for (number, (name, _)) in (0u32..).zip(panels) {
            let middle = f64::from(GAP + number * (w + GAP)) + f64::from(w) / 2.0;
            captions.text(*name, (middle, CAPTION - 8.0), Anchor::Middle, SIZE, INK);
        }
        let captions = captions.to_image(1)?;
        let legend = self.legend().scene(f64::from(full_width), f64::from(w)).to_image(1)?;
        let full_height = captions.height() + h + legend.height();
        let mut picture = RgbImage::from_pixel(full_width, full_height, Rgb(palette::WHITE));
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

/// (width, height) of a panel. Larger images are scaled down, smaller ones up by a whole factor.
pub(super) fn panel_size(width: u32, height: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= PANEL {
        let factor = (PANEL / 2).div_ceil(longer);
        return (width * factor, height * factor);
    }
    let scaled =
        |side: u32| ((u64::from(side) * u64::from(PANEL) * 2 + u64::from(longer)) / (2 * u64::from(longer))).max(1);
    (scaled(width) as u32, scaled(height) as u32)
}
