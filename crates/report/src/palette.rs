//! Colours that colour-blind readers can tell apart.

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// Text and axes.
pub(crate) const INK: Colour = [0x22, 0x22, 0x22];
/// Notes and tick labels.
pub(crate) const GREY: Colour = [0x55, 0x55, 0x55];
/// Lines between things.
pub(crate) const LINE: Colour = [0x99, 0x99, 0x99];
/// Grid lines.
pub(crate) const GRID: Colour = [0xe2, 0xe2, 0xe2];
/// Background.
pub(crate) const WHITE: Colour = [0xff, 0xff, 0xff];

// The set of Okabe and Ito (2008).
const BLACK: Colour = [0x00, 0x00, 0x00];
pub(crate) const ORANGE: Colour = [0xe6, 0x9f, 0x00];
pub(crate) const SKY_BLUE: Colour = [0x56, 0xb4, 0xe9];
pub(crate) const GREEN: Colour = [0x00, 0x9e, 0x73];
const YELLOW: Colour = [0xf0, 0xe4, 0x42];
pub(crate) const BLUE: Colour = [0x00, 0x72, 0xb2];
pub(crate) const VERMILION: Colour = [0xd5, 0x5e, 0x00];
const PURPLE: Colour = [0xcc, 0x79, 0xa7];

/// Lines of a figure, ordered so that neighbours differ in brightness too. Yellow is left out: it is too pale on white.
pub(crate) const SERIES: [Colour; 7] = [BLUE, VERMILION, GREEN, BLACK, PURPLE, ORANGE, SKY_BLUE];

/// Bars, which are large enough for yellow and carry no black.
pub(crate) const BARS: [Colour; 8] = [SKY_BLUE, BLUE, VERMILION, GREEN, ORANGE, PURPLE, LINE, YELLOW];

/// Classes of a mask. Class 0 is the background or the matrix: it is dark, so that the others stand out.
const CLASSES: [Colour; 9] =
    [[0x2b, 0x2f, 0x36], ORANGE, SKY_BLUE, PURPLE, GREEN, YELLOW, VERMILION, BLUE, [0xd9, 0xd9, 0xd9]];

/// The colour of a class, by label. From the tenth on, hues at multiples of the golden angle.
pub fn class(label: u8) -> [u8; 3] {
    let label = usize::from(label);
    CLASSES.get(label).copied().unwrap_or_else(|| {
        let hue = (label as f64 * 137.508) % 360.0 / 60.0;
        let channel = |shift: f64| {
            let distance = ((hue + shift) % 6.0 - 3.0).abs();
            (70.0 + 160.0 * (distance - 1.0).clamp(0.0, 1.0)).round() as u8
        };
        [channel(0.0), channel(4.0), channel(2.0)]
    })
}

/// `over` laid on `under` with the given opacity (0 to 1).
pub(crate) fn blend(under: Colour, over: Colour, opacity: f64) -> Colour {
    std::array::from_fn(|i| (f64::from(under[i]) * (1.0 - opacity) + f64::from(over[i]) * opacity).round() as u8)
}

/// `#rrggbb`.
pub(crate) fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_classes_have_different_colours() {
        let distance = |a: Colour, b: Colour| (0..3).map(|i| (i32::from(a[i]) - i32::from(b[i])).abs()).sum::<i32>();
        for a in 0..20 {
            for b in 0..a {
                assert!(distance(class(a), class(b)) >= 24, "classes {a} and {b}");
            }
        }
    }

    #[test]
    fn blends_by_opacity() {
        assert_eq!(blend([0, 100, 200], [200, 100, 0], 0.25), [50, 100, 150]);
        assert_eq!(hex([0, 10, 255]), "#000aff");
    }
}
