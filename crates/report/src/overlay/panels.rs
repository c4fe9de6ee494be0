//! The picture.

use super::canvas::Canvas;
use super::errors::{OPACITY, judged, stripe};
use super::legend::Legend;
use super::scale::Scale;
use crate::palette::{self, blend};
use image::RgbImage;

/// Maximum length of a panel's longer side in pixels; the least is half of it.
pub(super) const PANEL: u32 = 512;

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
        let canvas = Canvas::new((self.width, self.height), PANEL / 2, PANEL)?;
        let image = canvas.scaled(self.image, self.channels);
        let label = |mask: &[u8], x, y| canvas.label(mask, x, y);
        let unknown = |x, y| Some(label(self.truth, x, y)) == self.ignore;
        let legend = self.legend().scene(f64::from(canvas.full_width(4)), f64::from(canvas.panel.0));
        canvas.composed(
            &[
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
            ],
            &legend,
        )
    }

    pub(super) fn legend(&self) -> Legend<'_> {
        Legend {
            rows: vec![
                ("classes", Legend::classes(self.classes)),
                (
                    "errors",
                    Legend::errors(self.classes.len(), self.truth.iter().any(|&label| Some(label) == self.ignore)),
                ),
            ],
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
}
