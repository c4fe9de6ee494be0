//! The font: DejaVu Sans, shipped with the program, so that a picture is the same on a machine without fonts.

use crate::palette::{self, Colour};
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use anyhow::Context;
use image::{Rgb, RgbImage};
use std::sync::OnceLock;

/// The font family in SVG files: every viewer has a sans-serif.
pub(crate) const FAMILY: &str = "sans-serif";

/// DejaVu Sans 2.37; assets/DejaVuSans-LICENSE.txt.
static DEJAVU_SANS: &[u8] = include_bytes!("../../../assets/DejaVuSans.ttf");

fn dejavu_sans() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(DEJAVU_SANS).ok()).as_ref()
}

/// The scale of `size` pixels an em. ab_glyph counts pixels from ascent to descent instead.
fn scale(font: &FontRef<'_>, size: f64) -> PxScale {
    let per_em = font.units_per_em().map_or(1.0, |units| font.height_unscaled() / units);
    PxScale::from(size as f32 * per_em)
}

/// The glyphs with their positions along the baseline, and their total width.
fn layout(font: &FontRef<'_>, text: &str, size: f64) -> (Vec<ab_glyph::Glyph>, f64) {
    let scale = scale(font, size);
    let scaled = font.as_scaled(scale);
    let (mut x, mut last, mut glyphs) = (0.0, None, Vec::new());
    for letter in text.chars() {
        let id = font.glyph_id(letter);
        x += last.map_or(0.0, |last| scaled.kern(last, id));
        glyphs.push(id.with_scale_and_position(scale, point(x, 0.0)));
        x += scaled.h_advance(id);
        last = Some(id);
    }
    (glyphs, f64::from(x))
}

/// How wide `text` is at `size` pixels an em.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    // Without a font, an em per letter is wide enough to keep labels apart.
    dejavu_sans().map_or(text.chars().count() as f64 * size, |font| layout(font, text, size).1)
}

/// Writes `text` at `size` pixels an em, its baseline from `(x, y)` to the right, or upwards if `turned`.
///
/// # Errors
/// If the font cannot be read: the program was built with a broken asset.
pub(crate) fn write(
    picture: &mut RgbImage,
    text: &str,
    size: f64,
    (x, y): (f64, f64),
    turned: bool,
    colour: Colour,
) -> anyhow::Result<()> {
    let font = dejavu_sans().context("the shipped font cannot be read")?;
    for mut glyph in layout(font, text, size).0 {
        let along = f64::from(glyph.position.x);
        // A turned letter is drawn upright at the point (−y, x), and its pixels are turned.
        let at = if turned { (along - y, x) } else { (x + along, y) };
        glyph.position = point(at.0 as f32, at.1 as f32);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let corner = outline.px_bounds().min;
        outline.draw(|dx, dy, coverage| {
            let (px, py) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
            let (px, py) = if turned { (py, -px - 1) } else { (px, py) };
            let pixel = u32::try_from(px).ok().zip(u32::try_from(py).ok());
            if let Some(Rgb(pixel)) = pixel.and_then(|(px, py)| picture.get_pixel_mut_checked(px, py)) {
                *pixel = palette::blend(*pixel, colour, f64::from(coverage.clamp(0.0, 1.0)));
            }
        });
    }
    Ok(())
}

/// `text`, shortened with … at its end if it is wider than `room`.
pub(crate) fn shorten(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut letters: Vec<char> = text.chars().collect();
    loop {
        letters.pop();
        let short: String = letters.iter().collect::<String>().trim_end().to_owned() + "…";
        if letters.is_empty() || width(&short, size) <= room {
            return short;
        }
    }
}

/// `text` in lines of at most `room` pixels, broken at spaces. A word that is too long is shortened.
pub(crate) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shorten(word, size, room);
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_dejavu_sans() {
        // Advance widths from the font's hmtx table: M 1767, i 569 of 2048.
        assert!((width("M", 2048.0) - 1767.0).abs() < 0.5, "{}", width("M", 2048.0));
        assert!((width("iiii", 2048.0) - 4.0 * 569.0).abs() < 0.5, "{}", width("iiii", 2048.0));
    }

    #[test]
    fn long_text_is_shortened_or_broken() {
        let short = shorten("segment-metaldam.ssl.matssl", 12.0, 80.0);
        assert!(short.starts_with("segment") && short.ends_with('…') && width(&short, 12.0) <= 80.0, "{short}");
        let lines = wrap("validation mIoU over the epochs of training", 12.0, 100.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 12.0) <= 100.0), "{lines:?}");
        assert_eq!(lines.join(" "), "validation mIoU over the epochs of training");
    }
}
