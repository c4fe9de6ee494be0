//! A picture of one prediction: input, truth, prediction and errors side by side, as the paper's Figs. 7 and 8.
//!
//! Class 0 is the background (or matrix), all other classes are foreground. The error panel lays over the image:
//! *green* where a foreground class was found, *red* where the background was taken for foreground, *blue* where
//! foreground was taken for background, and — which two classes cannot have — *magenta* where one foreground class
//! was taken for another: that is at once a false positive (of the class said) and a false negative (of the true
//! one). Background that was found stays as it is. Pixels whose truth is unknown are striped, and judged nowhere.

mod scale;

pub use scale::PixelSize;

use super::font;
use super::palette::{self, Colour, GREY, INK, blend};
use super::scene::{Anchor, Scene};
use image::{Rgb, RgbImage, imageops};

/// A found foreground pixel.
const FOUND: Colour = [0x00, 0xa0, 0x3c];
/// Background taken for foreground.
const FALSE: Colour = [0xe0, 0x20, 0x20];
/// Foreground taken for background.
const MISSED: Colour = [0x20, 0x50, 0xff];
/// One foreground class taken for another.
const CONFUSED: Colour = [0xd8, 0x20, 0xd8];
/// How much of the errors' colours covers the image.
const OPACITY: f64 = 0.6;
/// Unknown truth: stripes of these.
const UNKNOWN: [Colour; 2] = [[0x9a, 0x9a, 0x9a], [0xc8, 0xc8, 0xc8]];

/// Panels are scaled down to this many pixels along their longer side, and up (by whole factors) from half of it.
const PANEL: u32 = 512;
const GAP: u32 = 8;
const CAPTION: f64 = 26.0;
const SIZE: f64 = 14.0;
const ROW: f64 = 24.0;

/// A caption, and the colour of each pixel of the panel below it.
type Panel<'a> = (&'static str, &'a dyn Fn(u32, u32) -> Colour);

/// One image with its masks, all `height · width`, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a> {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// The micrograph, `[height, width, channels]`.
    pub image: &'a [u8],
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// True classes, by label.
    pub truth: &'a [u8],
    /// Predicted classes.
    pub prediction: &'a [u8],
    /// A truth that means unknown.
    pub ignore: Option<u8>,
    /// Names by label.
    pub classes: &'a [String],
    /// How long the scale bar is in micrometres, if that is known; it is in pixels otherwise.
    pub scale: Option<Scale>,
}

/// How large the pixels of an image are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Micrometres a pixel, across.
    pub across: f64,
    /// Micrometres a pixel, down: another number where the image was resized to other proportions.
    pub down: f64,
}

impl Panels<'_> {
    /// The four panels with their captions, and below a legend of classes and errors and a scale bar.
    ///
    /// # Errors
    /// If the sizes do not fit together, or the shipped font cannot be read.
    pub fn render(&self) -> anyhow::Result<RgbImage> {
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let pixels = self.width * self.height;
        anyhow::ensure!(
            pixels > 0
                && [1, 3].contains(&self.channels)
                && self.image.len() == pixels * self.channels
                && self.truth.len() == pixels
                && self.prediction.len() == pixels,
            "image ({} values), truth ({}) and prediction ({}) are not all of {width}×{height} pixels",
            self.image.len(),
            self.truth.len(),
            self.prediction.len(),
        );
        let (w, h) = panel_size(width, height);
        let image = RgbImage::from_fn(width, height, |x, y| {
            let at = (y as usize * self.width + x as usize) * self.channels;
            Rgb(std::array::from_fn(|c| self.image[at + c % self.channels]))
        });
        let filter = if w < width { imageops::FilterType::Triangle } else { imageops::FilterType::Nearest };
        let image = if (w, h) == (width, height) { image } else { imageops::resize(&image, w, h, filter) };
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
                    .map_or(under, |c| blend(under, c, OPACITY))
            }),
        ];

        let full_width = 4 * w + 5 * GAP;
        let mut captions = Scene { width: f64::from(full_width), height: CAPTION, ..Scene::default() };
        for (number, (name, _)) in (0u32..).zip(&panels) {
            let middle = f64::from(GAP + number * (w + GAP)) + f64::from(w) / 2.0;
            captions.text(*name, (middle, CAPTION - 8.0), Anchor::Middle, SIZE, INK);
        }
        let captions = captions.to_image(1)?;
        let legend = self.legend(f64::from(full_width), f64::from(w)).to_image(1)?;
        let full_height = captions.height() + h + legend.height();
        let mut picture = RgbImage::from_pixel(full_width, full_height, Rgb(palette::WHITE));
        imageops::replace(&mut picture, &captions, 0, 0);
        imageops::replace(&mut picture, &legend, 0, i64::from(captions.height() + h));
        for (number, (_, colour)) in (0u32..).zip(&panels) {
            let left = GAP + number * (w + GAP);
            for y in 0..h {
                for x in 0..w {
                    picture.put_pixel(left + x, captions.height() + y, Rgb(colour(x, y)));
                }
            }
        }
        Ok(picture)
    }

    /// Swatches with names: the classes in the first lines, what the errors' colours mean in the next; then a bar as long as
    /// it says in panels of `panel` pixels across.
    fn legend(&self, width: f64, panel: f64) -> Scene {
        let mut scene = Scene { width, ..Scene::default() };
        let mut y = 6.0;
        let classes = (0u8..=u8::MAX).zip(self.classes).map(|(label, name)| (palette::class(label), name.as_str()));
        let classes: Vec<_> = classes.collect();
        let mut errors = vec![
            (FOUND, "found (true positive)"),
            (FALSE, "wrongly found (false positive)"),
            (MISSED, "missed (false negative)"),
        ];
        if self.classes.len() > 2 {
            errors.push((CONFUSED, "one class taken for another"));
        }
        let mut groups = vec![("classes", classes), ("errors", errors)];
        if self.truth.iter().any(|&label| Some(label) == self.ignore) {
            groups[1].1.push((UNKNOWN[0], "truth unknown: not judged"));
        }
        let left = f64::from(GAP);
        let indent = left + font::width("classes", SIZE) + 16.0;
        for (heading, swatches) in groups {
            scene.text(heading, (left, y + ROW / 2.0 + SIZE * 0.36), Anchor::Start, SIZE, GREY);
            let mut x = indent;
            for (colour, name) in swatches {
                let name = font::shorten(name, SIZE, width - indent - 24.0 - f64::from(GAP));
                let needed = 22.0 + font::width(&name, SIZE);
                if x > indent && x + needed > width - f64::from(GAP) {
                    (x, y) = (indent, y + ROW);
                }
                let middle = y + ROW / 2.0;
                scene.rectangle((x, middle - 7.0), (x + 14.0, middle + 7.0), colour, 1.0);
                scene.text(name, (x + 20.0, middle + SIZE * 0.36), Anchor::Start, SIZE, INK);
                x += needed + 20.0;
            }
            y += ROW;
        }
        let bar = scale::bar(self.width, self.scale.map(|scale| scale.across));
        let (middle, end) = (y + ROW / 2.0, indent + bar.pixels * panel / self.width as f64);
        scene.text("scale", (left, middle + SIZE * 0.36), Anchor::Start, SIZE, GREY);
        scene.rectangle((indent, middle - 1.5), (end, middle + 1.5), INK, 1.0);
        for tick in [indent, end] {
            scene.rectangle((tick - 1.0, middle - 6.0), (tick + 1.0, middle + 6.0), INK, 1.0);
        }
        let words = match self.scale {
            Some(scale) if !scale.is_isotropic() => {
                format!("{} across, {} down", bar.words, scale::words(bar.pixels * scale.down))
            }
            _ => bar.words,
        };
        scene.text(words, (end + 10.0, middle + SIZE * 0.36), Anchor::Start, SIZE, INK);
        y += ROW;
        scene.height = y + 6.0;
        scene
    }
}

impl Scale {
    /// As long down as across, but for the rounding of a side to whole pixels.
    fn is_isotropic(self) -> bool {
        (self.down / self.across - 1.0).abs() < 0.01
    }
}

/// The colour of the error panel; `None` for background that was found.
fn judged(truth: u8, prediction: u8) -> Option<Colour> {
    match (truth, prediction) {
        (0, 0) => None,
        (truth, prediction) if truth == prediction => Some(FOUND),
        (0, _) => Some(FALSE),
        (_, 0) => Some(MISSED),
        _ => Some(CONFUSED),
    }
}

fn stripe(x: u32, y: u32) -> Colour {
    UNKNOWN[((x + y) / 6 % 2) as usize]
}

/// How large a panel of an image is drawn.
fn panel_size(width: u32, height: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= PANEL {
        let factor = (PANEL / 2).div_ceil(longer);
        return (width * factor, height * factor);
    }
    let scaled =
        |side: u32| ((u64::from(side) * u64::from(PANEL) * 2 + u64::from(longer)) / (2 * u64::from(longer))).max(1);
    (scaled(width) as u32, scaled(height) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY_LEVEL: u8 = 100;

    /// 8 × 4 of mid-grey; each column of the truth and of the prediction as given.
    fn picture(truth: [u8; 8], prediction: [u8; 8], classes: &[&str]) -> RgbImage {
        let classes: Vec<String> = classes.iter().map(|c| (*c).to_string()).collect();
        Panels {
            width: 8,
            height: 4,
            image: &[GREY_LEVEL; 32],
            channels: 1,
            truth: &truth.repeat(4),
            prediction: &prediction.repeat(4),
            ignore: Some(255),
            classes: &classes,
            scale: None,
        }
        .render()
        .unwrap()
    }

    #[test]
    fn each_panel_shows_its_colours() {
        let picture = picture([0, 1, 0, 1, 1, 2, 255, 0], [0, 1, 1, 0, 2, 2, 1, 0], &["matrix", "austenite", "defect"]);
        // 8 pixels across are shown 32 times as large.
        let at = |panel: u32, column: u32| picture.get_pixel(GAP + panel * (256 + GAP) + column * 32 + 16, 26 + 64).0;
        let grey = [GREY_LEVEL; 3];
        assert_eq!([at(0, 0), at(0, 7)], [grey, grey]);
        assert_eq!([at(1, 0), at(1, 1), at(1, 5)], [0, 1, 2].map(palette::class));
        assert!(UNKNOWN.contains(&at(1, 6)) && UNKNOWN.contains(&at(3, 6)));
        assert_eq!([at(2, 0), at(2, 4), at(2, 6)], [0, 2, 1].map(palette::class));
        let over = |colour| blend(grey, colour, OPACITY);
        assert_eq!(
            [at(3, 0), at(3, 1), at(3, 2), at(3, 3), at(3, 4), at(3, 5)],
            [grey, over(FOUND), over(FALSE), over(MISSED), over(CONFUSED), over(FOUND)]
        );
    }

    #[test]
    fn a_scale_bar_stands_below() {
        let classes = ["matrix".to_owned()];
        let picture = |scale| {
            let panels = Panels {
                width: 8,
                height: 4,
                image: &[GREY_LEVEL; 32],
                channels: 1,
                truth: &[0; 32],
                prediction: &[0; 32],
                ignore: None,
                classes: &classes,
                scale,
            };
            let legend = panels.legend(1064.0, 256.0);
            let mut words = legend.shapes.iter().filter_map(|shape| match shape {
                crate::scene::Shape::Text(text) => Some(text.text.clone()),
                _ => None,
            });
            (words.next_back().unwrap_or_default(), panels.render().unwrap())
        };
        // Two of eight pixels in a panel of 256.
        let (words, pixels) = picture(None);
        assert_eq!(words, "2 px");
        let start = f64::from(GAP) + font::width("classes", SIZE) + 16.0;
        let row = 26 + 128 + (6.0 + 2.0 * ROW + ROW / 2.0) as u32;
        let dark = (0..pixels.width()).filter(|&x| x > start as u32 - 3 && pixels.get_pixel(x, row).0 == INK).count();
        assert!((64..=68).contains(&dark), "{dark}");
        assert_eq!(picture(Some(Scale { across: 0.5, down: 0.5 })).0, "1 µm");
        let stretched = picture(Some(Scale { across: 0.5, down: 0.75 })).0;
        assert_eq!(stretched, "1 µm across, 1.5 µm down");
    }

    #[test]
    fn the_same_bytes_each_time_and_sizes_are_checked() {
        let one = picture([0; 8], [1; 8], &["background", "crack"]);
        assert_eq!(one, picture([0; 8], [1; 8], &["background", "crack"]));
        let classes = ["a".to_owned()];
        let wrong = Panels {
            width: 2,
            height: 1,
            image: &[0, 0],
            channels: 1,
            truth: &[0],
            prediction: &[0, 0],
            ignore: None,
            classes: &classes,
            scale: None,
        };
        assert!(wrong.render().unwrap_err().to_string().contains("truth (1)"));
    }

    #[test]
    fn big_images_shrink_and_small_ones_grow() {
        assert_eq!(panel_size(1280, 895), (512, 358));
        assert_eq!(panel_size(512, 100), (512, 100));
        assert_eq!(panel_size(64, 48), (256, 192));
        assert_eq!(panel_size(4000, 1), (512, 1));
    }

    /// See `curve::tests::pictures_to_look_at`.
    #[test]
    #[ignore = "writes pictures for people"]
    fn pictures_to_look_at() {
        let Ok(folder) = std::env::var("MATSSL_LOOK").map(std::path::PathBuf::from) else { return };
        for (name, side, classes) in [("overlay-small", 128usize, 2u8), ("overlay-big", 1024, 5)] {
            let disc = |x: usize, y: usize, shift: usize| {
                let (cx, cy) = (
                    (x % (side / 3)) as f64 - side as f64 / 6.0,
                    ((y + shift) % (side / 3)) as f64 - side as f64 / 6.0,
                );
                let cell = (x / (side / 3) + y / (side / 3)) as u8;
                if cx.hypot(cy) < side as f64 / 9.0 { 1 + cell % (classes - 1) } else { 0 }
            };
            let mask = |shift: usize| (0..side * side).map(|i| disc(i % side, i / side, shift)).collect::<Vec<u8>>();
            let (mut truth, prediction) = (mask(0), mask(side / 24));
            truth[..side * side / 8].fill(255);
            let image: Vec<u8> =
                truth.iter().enumerate().map(|(i, t)| 60 + 25 * (t % 6) + (i * 7919 % 31) as u8).collect();
            let classes: Vec<String> = ["matrix", "austenite", "martensite/austenite", "precipitate", "defect"]
                [..usize::from(classes)]
                .iter()
                .map(|c| (*c).to_string())
                .collect();
            let panels = Panels {
                width: side,
                height: side,
                image: &image,
                channels: 1,
                truth: &truth,
                prediction: &prediction,
                ignore: Some(255),
                classes: &classes,
                scale: (side > 500).then_some(Scale { across: 1.0 / 34.0, down: 1.2 / 34.0 }),
            };
            let picture = panels.render().unwrap();
            std::fs::write(folder.join(format!("{name}.png")), super::super::png_rgb(&picture).unwrap()).unwrap();
        }
    }
}
