//! The scale of a micrograph, and the bar that shows it.

use matssl_data::pixel_size::in_words;

/// The size of an image's pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Micrometres per pixel, across.
    pub across: f64,
    /// Micrometres per pixel, down. It differs from `across` if the image was resized to other proportions.
    pub down: f64,
}

impl Scale {
    /// Whether pixels are square, but for rounding of the image's size to whole pixels.
    pub(super) fn is_isotropic(self) -> bool {
        (self.down / self.across - 1.0).abs() < 0.01
    }
}

/// A scale bar of a round length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    /// Its length in pixels of the image.
    pub(super) pixels: f64,
    /// Its length in words.
    pub(super) words: String,
}

/// Maximum length of the bar as a part of the image's width.
const MOST: f64 = 0.4;

/// The longest bar of 1, 2 or 5 times a power of ten that fits into an image `width` pixels wide. Its length is in micrometres if
/// `pixel_size` (micrometres per pixel, across) is known, and in pixels otherwise.
pub(super) fn bar(width: usize, pixel_size: Option<f64>) -> Bar {
    let size = pixel_size.unwrap_or(1.0);
    let room = MOST * width as f64 * size;
    let power = 10f64.powi(room.log10().floor() as i32);
    let times = [5.0, 2.0, 1.0].into_iter().find(|times| times * power <= room).unwrap_or(1.0);
    // In pixels, the shortest bar is one pixel.
    let length = if pixel_size.is_none() { (times * power).max(1.0) } else { times * power };
    let words = if pixel_size.is_none() { format!("{length} px") } else { words(length) };
    Bar { pixels: length / size, words }
}

/// A length in micrometres to three digits: `20 nm`, `1.46 µm`, `2 mm`.
pub(super) fn words(length: f64) -> String {
    in_words(1e3 * length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_round_lengths_and_fit() {
        let words = |width: usize, size: Option<f64>| bar(width, size).words;
        assert_eq!(
            [1, 2, 64, 128, 512, 1024].map(|width| words(width, None)),
            ["1 px", "1 px", "20 px", "50 px", "200 px", "200 px"]
        );
        assert_eq!(words(1024, Some(1.0 / 34.0)), "10 µm");
        assert_eq!(words(1280, Some(10.0 / 504.0)), "10 µm");
        assert_eq!(words(256, Some(0.002)), "200 nm");
        assert_eq!(words(1000, Some(10.0)), "2 mm");
        assert_eq!([0.0294, 1.4567, 146.0, 0.05].map(super::words), ["29.4 nm", "1.46 µm", "146 µm", "50 nm"]);
        for width in [3, 64, 333, 1024, 4000] {
            for size in [None, Some(0.001), Some(0.0294), Some(1.7), Some(350.0)] {
                let bar = bar(width, size);
                let part = bar.pixels / width as f64;
                assert!((0.1..=MOST + 1e-9).contains(&part), "{width} {size:?}: {bar:?}");
            }
        }
        // 10 µm at 34 pixels a micrometre.
        assert!((bar(1024, Some(1.0 / 34.0)).pixels - 340.0).abs() < 1e-9);
    }
}
