//! A legend with a scale bar by itself, for pictures that are drawn elsewhere.

use super::legend::{Legend, Swatch};
use super::scale::Scale;
use image::RgbImage;
use std::borrow::Cow;

/// A legend below a picture of an image.
#[derive(Clone, Copy, Debug)]
pub struct LegendStrip<'a> {
    /// Name and colour of each class.
    pub classes: &'a [(String, [u8; 3])],
    /// Width of the strip in pixels.
    pub width: u32,
    /// Width of the picture in pixels.
    pub picture: u32,
    /// Width in pixels of the image that the picture shows.
    pub image_width: usize,
    /// The size of the image's pixels, if it is known. Otherwise the scale bar is in pixels.
    pub scale: Option<Scale>,
}

impl LegendStrip<'_> {
    /// The colours with their names, and the scale bar.
    ///
    /// # Errors
    /// If the shipped font cannot be read.
    pub fn render(&self) -> anyhow::Result<RgbImage> {
        let swatches: Vec<Swatch<'_>> =
            self.classes.iter().map(|(name, colour)| (*colour, Cow::from(name.as_str()))).collect();
        let legend = Legend { rows: vec![("classes", swatches)], image_width: self.image_width, scale: self.scale };
        legend.scene(f64::from(self.width), f64::from(self.picture)).to_image(1)
    }
}
