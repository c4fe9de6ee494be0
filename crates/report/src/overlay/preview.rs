//! A picture of one annotation: the micrograph beside the same with its classes in colour.

use super::canvas::{CAPTION, Canvas};
use super::errors::{UNKNOWN, stripe};
use super::legend::{Legend, SIZE, Swatch};
use super::scale::Scale;
use crate::font;
use crate::palette::{self, INK, WHITE, blend};
use crate::scene::{Anchor, Scene};
use image::{Rgb, RgbImage, imageops};
use std::borrow::Cow;

/// Maximum length of a panel's longer side in pixels: larger images are scaled down.
pub(super) const PANEL: u32 = 1024;
/// Images with a longer side below this are scaled up by a whole factor.
const LEAST: u32 = 256;
/// Least width of the picture, so that its title can be read.
const WIDTH: u32 = 480;
/// Opacity of the classes over the image. Where classes meet, their colours are full.
pub(super) const OPACITY: f64 = 0.45;

/// One image with its mask, both row by row.
#[derive(Clone, Copy, Debug)]
pub struct Preview<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The micrograph, `[height, width, channels]`.
    pub image: &'a [u8],
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// Class indices, `[height, width]`.
    pub labels: &'a [u8],
    /// The label of pixels that are not counted: they are striped.
    pub ignore: Option<u8>,
    /// Names of classes, by label.
    pub classes: &'a [String],
    /// What stands above the panels.
    pub title: &'a str,
    /// The size of a pixel, if it is known. Otherwise the scale bar is in pixels.
    pub scale: Option<Scale>,
}

impl Preview<'_> {
    /// The title, the two panels, and below them the legend with the share of pixels of each class, and a scale bar.
    ///
    /// # Errors
    /// If the sizes do not fit together, or the shipped font cannot be read.
    pub fn render(&self) -> anyhow::Result<RgbImage> {
        let pixels = self.width * self.height;
        anyhow::ensure!(
            pixels > 0
                && [1, 3].contains(&self.channels)
                && self.image.len() == pixels * self.channels
                && self.labels.len() == pixels,
            "image ({} values) and mask ({}) are not both of {}×{} pixels",
            self.image.len(),
            self.labels.len(),
            self.width,
            self.height,
        );
        let canvas = Canvas::new((self.width, self.height), LEAST, PANEL)?;
        let image = canvas.scaled(self.image, self.channels);
        let (w, h) = canvas.panel;
        let label = |x: u32, y: u32| canvas.label(self.labels, x, y);
        let is_edge = |x: u32, y: u32, own: u8| {
            (x > 0 && label(x - 1, y) != own)
                || (y > 0 && label(x, y - 1) != own)
                || (x + 1 < w && label(x + 1, y) != own)
                || (y + 1 < h && label(x, y + 1) != own)
        };
        let width = f64::from(canvas.full_width(2).max(WIDTH));
        let legend = self.legend().scene(width, f64::from(w));
        let panels = canvas.composed(
            &[
                ("micrograph", &|x, y| image.get_pixel(x, y).0),
                ("classes", &|x, y| {
                    let own = label(x, y);
                    if Some(own) == self.ignore {
                        return stripe(x, y);
                    }
                    let opacity = if is_edge(x, y, own) { 1.0 } else { OPACITY };
                    blend(image.get_pixel(x, y).0, palette::class(own), opacity)
                }),
            ],
            &legend,
        )?;
        let mut title = Scene { width, height: CAPTION, ..Scene::default() };
        let words = font::shorten(self.title, SIZE, width - 16.0);
        title.text(words, (8.0, CAPTION - 8.0), Anchor::Start, SIZE, INK);
        let title = title.to_image(1)?;
        let mut picture = RgbImage::from_pixel(panels.width(), title.height() + panels.height(), Rgb(WHITE));
        imageops::replace(&mut picture, &title, 0, 0);
        imageops::replace(&mut picture, &panels, 0, i64::from(title.height()));
        Ok(picture)
    }

    pub(super) fn legend(&self) -> Legend<'_> {
        let mut counts = [0u64; 256];
        for &label in self.labels {
            counts[usize::from(label)] += 1;
        }
        let share = |label: usize| share_in_words(counts[label] as f64 / self.labels.len().max(1) as f64);
        let classes = Legend::classes(self.classes).into_iter().enumerate();
        let mut swatches: Vec<Swatch<'_>> =
            classes.map(|(label, (colour, name))| (colour, Cow::from(format!("{name} {}", share(label))))).collect();
        if let Some(ignore) = self.ignore.map(usize::from).filter(|&ignore| counts[ignore] > 0) {
            swatches.push((UNKNOWN[0], Cow::from(format!("ignored {}", share(ignore)))));
        }
        Legend { rows: vec![("classes", swatches)], image_width: self.width, scale: self.scale }
    }
}

/// `37.5 %`; `0 %` only if there is nothing, and `below 0.1 %` for less than that.
fn share_in_words(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".into(),
        percent if percent < 0.1 => "below 0.1 %".into(),
        percent => format!("{percent:.1} %"),
    }
}
