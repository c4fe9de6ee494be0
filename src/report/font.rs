//! The font: DejaVu Sans, shipped with the program, so that a picture is the same on a machine without fonts.

use plotters::style::{FontStyle, IntoFont, register_font};
use std::sync::OnceLock;

/// The name under which plotters knows the font. It is also what stands in an SVG file: any viewer has a sans-serif.
pub(super) const FAMILY: &str = "sans-serif";

/// DejaVu Sans 2.37; assets/DejaVuSans-LICENSE.txt.
static DEJAVU_SANS: &[u8] = include_bytes!("../../assets/DejaVuSans.ttf");

/// Ascent plus descent over the em square of DejaVu Sans (hhea table: 1901 and −483 of 2048): ab_glyph sizes text by
/// the former, everybody else by the latter.
pub(super) const HEIGHT_PER_EM: f64 = (1901.0 + 483.0) / 2048.0;

/// Makes the font known to plotters, once a process.
///
/// # Errors
/// If plotters cannot read it: the program was built with a broken asset.
pub(super) fn register() -> anyhow::Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| register_font(FAMILY, FontStyle::Normal, DEJAVU_SANS).is_ok());
    anyhow::ensure!(done, "the shipped font cannot be read");
    Ok(())
}

/// How wide `text` is at `size` pixels an em.
pub(super) fn width(text: &str, size: f64) -> f64 {
    /// Measured large: plotters gives whole pixels.
    const MEASURED: f64 = 200.0;
    let estimate = || -> anyhow::Result<f64> {
        register()?;
        Ok(f64::from((FAMILY, MEASURED * HEIGHT_PER_EM).into_font().box_size(text)?.0))
    };
    // The widest letters are about an em: without a font a guess still keeps labels apart.
    estimate().map_or(text.chars().count() as f64 * size, |measured| measured * size / MEASURED)
}

/// `text`, its end cut off with … where it would be wider than `room`.
pub(super) fn shorten(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    loop {
        kept.pop();
        let short: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if kept.is_empty() || width(&short, size) <= room {
            return short;
        }
    }
}

/// `text` in lines no wider than `room`, broken at spaces; a word that is too long is shortened.
pub(super) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
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
        assert!((width("M", 2048.0) - 1767.0).abs() < 11.0, "{}", width("M", 2048.0));
        assert!((width("iiii", 2048.0) - 4.0 * 569.0).abs() < 11.0, "{}", width("iiii", 2048.0));
    }

    #[test]
    fn long_text_is_cut_or_broken() {
        let short = shorten("segment-metaldam.ssl.matssl", 12.0, 80.0);
        assert!(short.starts_with("segment") && short.ends_with('…') && width(&short, 12.0) <= 80.0, "{short}");
        let lines = wrap("validation mIoU over the epochs of training", 12.0, 100.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 12.0) <= 100.0), "{lines:?}");
        assert_eq!(lines.join(" "), "validation mIoU over the epochs of training");
    }
}
