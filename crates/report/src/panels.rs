//! A figure of several panels in rows.

use crate::font;
use crate::palette::{GREY, INK};
use crate::scene::{Anchor, Scene};

const MARGIN: f64 = 14.0;
const TITLE: f64 = 14.0;
const NOTE: f64 = 10.0;
/// Space between neighbours.
const GAP: f64 = 18.0;
/// Rows are filled up to this width; a wider panel has a row of its own.
const WIDTH: f64 = 980.0;

/// `panels` from left to right in as many rows as they need, below `title` and above `note`.
pub(crate) fn arranged(title: Option<&str>, panels: Vec<Scene>, note: &str) -> Scene {
    let mut rows: Vec<Vec<Scene>> = Vec::new();
    let width_of = |row: &[Scene]| row.iter().map(|panel| panel.width + GAP).sum::<f64>() - GAP;
    for panel in panels {
        match rows.last_mut() {
            Some(row) if width_of(row) + GAP + panel.width <= WIDTH => row.push(panel),
            _ => rows.push(vec![panel]),
        }
    }
    let inner = rows.iter().map(|row| width_of(row)).fold(240.0, f64::max);
    let mut scene = Scene { width: inner + 2.0 * MARGIN, height: 0.0, shapes: Vec::new() };
    let mut y = MARGIN;
    for line in font::wrap(title.unwrap_or_default(), TITLE, inner) {
        scene.text(line, (scene.width / 2.0, y + TITLE * 0.8), Anchor::Middle, TITLE, INK);
        y += TITLE * 1.5;
    }
    for row in rows {
        let height = row.iter().map(|panel| panel.height).fold(0.0, f64::max);
        let mut x = MARGIN;
        for panel in row {
            let width = panel.width;
            scene.place(panel, (x, y));
            x += width + GAP;
        }
        y += height + GAP;
    }
    for line in font::wrap(note, NOTE, inner) {
        scene.text(line, (MARGIN, y + NOTE * 0.8), Anchor::Start, NOTE, GREY);
        y += NOTE * 1.5;
    }
    scene.height = (y + MARGIN * 0.5).ceil();
    scene
}

/// `label (detail)`.
pub(crate) fn heading(label: &str, detail: &str) -> String {
    if detail.is_empty() { label.to_owned() } else { format!("{label} ({detail})") }
}

/// The texts of a scene must not overlap and must be inside of it.
#[cfg(test)]
pub(crate) fn assert_readable(scene: &Scene) {
    use crate::scene::Shape;
    // Measuring a text takes longer than comparing it with all others.
    let texts = scene.shapes.iter().filter_map(|shape| if let Shape::Text(text) = shape { Some(text) } else { None });
    let texts: Vec<_> = texts.map(|text| (text, text.bounds())).collect();
    for (i, (text, (left, top, right, bottom))) in texts.iter().enumerate() {
        let inside = *left >= 0.0 && *top >= 0.0 && *right <= scene.width && *bottom <= scene.height;
        assert!(inside, "{text:?} leaves the figure of {}×{}", scene.width, scene.height);
        for (other, (l, t, r, b)) in &texts[..i] {
            assert!(right <= l || r <= left || bottom <= t || b <= top, "{text:?} overlaps {other:?}");
        }
    }
}
