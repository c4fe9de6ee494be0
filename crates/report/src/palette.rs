//! Colours that stay apart for colour-blind readers.

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// Text and axes.
pub(super) const INK: Colour = [0x22, 0x22, 0x22];
/// Notes and tick labels.
pub(super) const GREY: Colour = [0x55, 0x55, 0x55];
/// Grid lines.
pub(super) const GRID: Colour = [0xe2, 0xe2, 0xe2];
/// Paper.
pub(super) const WHITE: Colour = [0xff, 0xff, 0xff];

/// Lines: Okabe and Ito's set (2008), ordered so that neighbours differ in brightness too, without its yellow, which
/// white paper swallows.
pub(super) const SERIES: [Colour; 7] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0x00, 0x00, 0x00],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
];

/// Class 0 of a mask is the background or the matrix: dark, so that the others stand out.
const CLASSES: [Colour; 9] = [
    [0x2b, 0x2f, 0x36],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0xcc, 0x79, 0xa7],
    [0x00, 0x9e, 0x73],
    [0xf0, 0xe4, 0x42],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x72, 0xb2],
    [0xd9, 0xd9, 0xd9],
];

/// The colour of a class, by label. From the ninth on, hues at the golden angle.
pub(super) fn class(label: u8) -> Colour {
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
pub(super) fn blend(under: Colour, over: Colour, opacity: f64) -> Colour {
    std::array::from_fn(|i| (f64::from(under[i]) * (1.0 - opacity) + f64::from(over[i]) * opacity).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_the_first_twenty_classes_look_alike() {
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
    }
}
