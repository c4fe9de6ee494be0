//! What the colours mean, and how long things are.

use super::errors::{CONFUSED, FALSE, FOUND, MISSED, UNKNOWN};
use super::scale::{self, Scale};
use crate::font;
use crate::palette::{self, Colour, GREY, INK};
use crate::scene::{Anchor, Scene};
use std::borrow::Cow;

/// Pixels an em.
pub(super) const SIZE: f64 = 14.0;
pub(super) const ROW: f64 = 24.0;
/// Room at the edges.
const EDGE: f64 = 8.0;
/// Room above and below.
const MARGIN: f64 = 6.0;

/// What a legend says of one image.
pub(super) struct Legend<'a> {
    /// A heading with its colours, from the top down.
    pub(super) rows: Vec<(&'static str, Vec<Swatch<'a>>)>,
    /// Width of the image in pixels.
    pub(super) image_width: usize,
    pub(super) scale: Option<Scale>,
}

/// A colour and its meaning.
pub(super) type Swatch<'a> = (Colour, Cow<'a, str>);

impl<'a> Legend<'a> {
    /// `width` pixels wide, below panels of `panel` pixels: rows of swatches, and a scale bar.
    pub(super) fn scene(&self, width: f64, panel: f64) -> Scene {
        let mut scene = Scene { width, ..Scene::default() };
        let mut y = MARGIN;
        for (heading, row) in &self.rows {
            y = swatches(&mut scene, heading, row, y);
        }
        self.draw_bar(&mut scene, y + ROW / 2.0, panel);
        scene.height = y + ROW + MARGIN;
        scene
    }

    /// Swatches of the classes, by label.
    pub(super) fn classes(names: &'a [String]) -> Vec<Swatch<'a>> {
        (0..=u8::MAX).zip(names).map(|(label, name)| (palette::class(label), Cow::from(name))).collect()
    }

    /// Swatches of the errors among `classes` classes; `has_unknown`: some pixels have no known truth.
    pub(super) fn errors(classes: usize, has_unknown: bool) -> Vec<Swatch<'a>> {
        let mut swatches = vec![(FOUND, "true positive"), (FALSE, "false positive"), (MISSED, "false negative")];
        if classes > 2 {
            swatches.push((CONFUSED, "wrong class"));
        }
        if has_unknown {
            swatches.push((UNKNOWN[0], "unknown truth (not scored)"));
        }
        swatches.into_iter().map(|(colour, words)| (colour, Cow::from(words))).collect()
    }

    /// A bar whose middle is at height `y`, as long as its words say in panels of `panel` pixels.
    fn draw_bar(&self, scene: &mut Scene, y: f64, panel: f64) {
        let bar = scale::bar(self.image_width, self.scale.map(|scale| scale.across));
        let (start, end) = (indent(), indent() + bar.pixels * panel / self.image_width as f64);
        scene.text("scale", (EDGE, baseline(y)), Anchor::Start, SIZE, GREY);
        scene.rectangle((start, y - 1.5), (end, y + 1.5), INK, 1.0);
        for tick in [start, end] {
            scene.rectangle((tick - 1.0, y - 6.0), (tick + 1.0, y + 6.0), INK, 1.0);
        }
        let words = match self.scale {
            Some(scale) if !scale.is_isotropic() => {
                format!("{} across, {} down", bar.words, scale::words(bar.pixels * scale.down))
            }
            _ => bar.words,
        };
        scene.text(words, (end + 10.0, baseline(y)), Anchor::Start, SIZE, INK);
    }
}

/// Where the swatches and the bar begin.
pub(super) fn indent() -> f64 {
    EDGE + font::width("classes", SIZE) + 16.0
}

/// The baseline of a text whose middle is at height `middle`.
fn baseline(middle: f64) -> f64 {
    middle + SIZE * 0.36
}

/// Draws a heading and swatches in rows from height `y` on. Returns the height below them.
fn swatches(scene: &mut Scene, heading: &str, swatches: &[Swatch<'_>], mut y: f64) -> f64 {
    let (width, indent) = (scene.width, indent());
    scene.text(heading, (EDGE, baseline(y + ROW / 2.0)), Anchor::Start, SIZE, GREY);
    let mut x = indent;
    for (colour, name) in swatches {
        let name = font::shorten(name, SIZE, width - indent - 24.0 - EDGE);
        let needed = 22.0 + font::width(&name, SIZE);
        if x > indent && x + needed > width - EDGE {
            (x, y) = (indent, y + ROW);
        }
        let middle = y + ROW / 2.0;
        scene.rectangle((x, middle - 7.0), (x + 14.0, middle + 7.0), *colour, 1.0);
        scene.text(name, (x + 20.0, baseline(middle)), Anchor::Start, SIZE, INK);
        x += needed + 20.0;
    }
    y + ROW
}
