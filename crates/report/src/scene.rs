//! A drawing as a list of shapes, which plotters then puts into an SVG file or a bitmap.
//!
//! One list for both keeps them alike, and lets a test ask whether two labels overlap.

use super::font;
use super::palette::Colour;
use anyhow::anyhow;
use image::RgbImage;
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle};

/// x to the right, y down, in pixels at scale 1.
pub(super) type Point = (f64, f64);

/// Where a text's given point lies in it, along the line of writing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of writing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) text: String,
    /// A point on the baseline.
    pub(super) at: Point,
    pub(super) anchor: Anchor,
    /// Pixels an em.
    pub(super) size: f64,
    pub(super) colour: Colour,
    /// Written from bottom to top.
    pub(super) turned: bool,
}

impl Text {
    /// How much of the line of writing lies before `at`.
    fn before(&self) -> f64 {
        match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => font::width(&self.text, self.size) / 2.0,
            Anchor::End => font::width(&self.text, self.size),
        }
    }

    /// Where its first letter starts on the baseline.
    fn start(&self) -> Point {
        let (x, y) = self.at;
        if self.turned { (x, y + self.before()) } else { (x - self.before(), y) }
    }

    /// The rectangle that the letters stay in: (left, top, right, bottom).
    #[cfg(test)]
    pub(super) fn bounds(&self) -> (f64, f64, f64, f64) {
        let width = font::width(&self.text, self.size);
        // The letters of DejaVu Sans stay between 0.76 em above and 0.24 em below the baseline.
        let (above, below) = (0.76 * self.size, 0.24 * self.size);
        let (x, y) = self.start();
        if self.turned { (x - above, y - width, x + below, y) } else { (x, y - above, x + width, y + below) }
    }
}

/// A thing to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// An open line; `dash` holds lengths drawn and left out in turn, none for a solid one.
    Line { points: Vec<Point>, colour: Colour, width: f64, dash: &'static [f64] },
    /// A filled polygon.
    Area { points: Vec<Point>, colour: Colour, opacity: f64 },
    /// A filled circle.
    Disc { centre: Point, radius: f64, colour: Colour },
    /// Writing.
    Text(Text),
}

/// Shapes in the order they are drawn, on white.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
}

/// plotters takes whole pixels only: an SVG file is drawn this much larger and shown smaller.
const SVG_GRAIN: f64 = 10.0;
/// A bitmap's lines are drawn this much larger and averaged: plotters smooths no thick lines.
const SUPERSAMPLING: u32 = 3;

impl Scene {
    pub(super) fn line(&mut self, points: Vec<Point>, colour: Colour, width: f64, dash: &'static [f64]) {
        self.shapes.push(Shape::Line { points, colour, width, dash });
    }

    pub(super) fn area(&mut self, points: Vec<Point>, colour: Colour, opacity: f64) {
        self.shapes.push(Shape::Area { points, colour, opacity });
    }

    /// A filled rectangle from the upper left to the lower right.
    pub(super) fn rectangle(&mut self, (left, top): Point, (right, bottom): Point, colour: Colour, opacity: f64) {
        self.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], colour, opacity);
    }

    /// An upright text.
    pub(super) fn text(&mut self, text: impl Into<String>, at: Point, anchor: Anchor, size: f64, colour: Colour) {
        self.shapes.push(Shape::Text(Text { text: text.into(), at, anchor, size, colour, turned: false }));
    }

    /// The drawing as an SVG file; text stays text.
    ///
    /// # Errors
    /// If the font cannot be read.
    pub(super) fn to_svg(&self) -> anyhow::Result<String> {
        let pixels = |length: f64| (length * SVG_GRAIN).round() as u32;
        let (width, height) = (pixels(self.width), pixels(self.height));
        let mut svg = String::new();
        {
            let mut backend = SVGBackend::with_string(&mut svg, (width, height));
            let white = self.size(SVG_GRAIN);
            backend.draw_rect((0, 0), white, &ShapeStyle::from(&plotters::style::WHITE), true).map_err(fault)?;
            self.draw(&mut backend, SVG_GRAIN, true)?;
            backend.present().map_err(fault)?;
        }
        let drawn = format!("width=\"{width}\" height=\"{height}\" viewBox");
        let shown = format!("width=\"{}\" height=\"{}\" viewBox", self.width, self.height);
        anyhow::ensure!(svg.contains(&drawn), "plotters writes SVG headers otherwise than it did");
        Ok(svg.replacen(&drawn, &shown, 1))
    }

    /// The drawing as a bitmap, each pixel at scale 1 becoming `scale` × `scale`.
    ///
    /// # Errors
    /// If the font cannot be read.
    pub(super) fn to_image(&self, scale: u32) -> anyhow::Result<RgbImage> {
        let (width, height) =
            ((self.width * f64::from(scale)).ceil() as u32, (self.height * f64::from(scale)).ceil() as u32);
        let (w, h) = (width * SUPERSAMPLING, height * SUPERSAMPLING);
        let mut large = vec![255u8; w as usize * h as usize * 3];
        {
            let mut backend = BitMapBackend::with_buffer(&mut large, (w, h));
            self.draw(&mut backend, f64::from(scale * SUPERSAMPLING), false)?;
            backend.present().map_err(fault)?;
        }
        let mut picture = RgbImage::from_fn(width, height, |x, y| {
            let mut sum = [0u32; 3];
            for dy in 0..SUPERSAMPLING {
                let start = ((y * SUPERSAMPLING + dy) as usize * w as usize + (x * SUPERSAMPLING) as usize) * 3;
                for pixel in large[start..start + 3 * SUPERSAMPLING as usize].chunks_exact(3) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
                }
            }
            let n = SUPERSAMPLING * SUPERSAMPLING;
            image::Rgb(sum.map(|sum| ((sum + n / 2) / n) as u8))
        });
        let scale = f64::from(scale);
        for shape in &self.shapes {
            if let Shape::Text(text) = shape {
                let (x, y) = text.start();
                font::write(
                    &mut picture,
                    &text.text,
                    text.size * scale,
                    (x * scale, y * scale),
                    text.turned,
                    text.colour,
                )?;
            }
        }
        Ok(picture)
    }

    fn size(&self, scale: f64) -> (i32, i32) {
        ((self.width * scale).round() as i32, (self.height * scale).round() as i32)
    }

    /// Puts all shapes on a backend, `scale` of its pixels for one of ours; writing only if `texts`.
    fn draw<B: DrawingBackend>(&self, backend: &mut B, scale: f64, texts: bool) -> anyhow::Result<()>
    where
        B::ErrorType: 'static,
    {
        let pixel = |(x, y): Point| ((x * scale).round() as i32, (y * scale).round() as i32);
        for shape in &self.shapes {
            match shape {
                Shape::Line { points, colour, width, dash } => {
                    let style = ShapeStyle {
                        color: opaque(*colour, 1.0),
                        filled: false,
                        stroke_width: (width * scale).round().max(1.0) as u32,
                    };
                    for piece in dashes(points, dash) {
                        let mut path: Vec<_> = piece.into_iter().map(pixel).collect();
                        path.dedup();
                        if path.len() > 1 {
                            backend.draw_path(path, &style).map_err(fault)?;
                        }
                    }
                }
                Shape::Area { points, colour, opacity } => {
                    let style = ShapeStyle { color: opaque(*colour, *opacity), filled: true, stroke_width: 0 };
                    backend.fill_polygon(points.iter().copied().map(pixel), &style).map_err(fault)?;
                }
                Shape::Disc { centre, radius, colour } => {
                    let style = ShapeStyle { color: opaque(*colour, 1.0), filled: true, stroke_width: 0 };
                    let radius = (radius * scale).round().max(1.0) as u32;
                    backend.draw_circle(pixel(*centre), radius, &style, true).map_err(fault)?;
                }
                Shape::Text(text) if texts => {
                    let (x, y) = text.at;
                    // plotters puts the baseline of a line at "Top" 0.76 em below its point, in SVG.
                    let drop = 0.76 * text.size;
                    let at = if text.turned { (x - drop, y) } else { (x, y - drop) };
                    let h = match text.anchor {
                        Anchor::Start => HPos::Left,
                        Anchor::Middle => HPos::Center,
                        Anchor::End => HPos::Right,
                    };
                    let turn = if text.turned { FontTransform::Rotate270 } else { FontTransform::None };
                    // … and writes a font size of its size / 1.24.
                    let ink = opaque(text.colour, 1.0);
                    let style = TextStyle::from((font::FAMILY, text.size * scale * 1.24).into_font())
                        .color(&ink)
                        .pos(Pos::new(h, VPos::Top))
                        .transform(turn);
                    backend.draw_text(&text.text, &style, pixel(at)).map_err(fault)?;
                }
                Shape::Text(_) => {}
            }
        }
        Ok(())
    }
}

fn opaque([r, g, b]: Colour, opacity: f64) -> RGBAColor {
    RGBAColor(r, g, b, opacity)
}

fn fault(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing failed: {error}")
}

/// Cuts a line into the pieces that are drawn.
fn dashes(points: &[Point], dash: &[f64]) -> Vec<Vec<Point>> {
    if dash.is_empty() {
        return vec![points.to_vec()];
    }
    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut part, mut left) = (0, dash[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length < left {
                left -= length;
                if part % 2 == 0 {
                    piece.push(to);
                }
                break;
            }
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            if part % 2 == 0 {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            part += 1;
            left = dash[part % dash.len()];
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::INK;

    #[test]
    fn a_dashed_line_is_drawn_and_left_out_in_turn_round_corners() {
        let line = [(0.0, 0.0), (5.0, 0.0), (5.0, 5.0)];
        let expected =
            vec![vec![(0.0, 0.0), (3.0, 0.0)], vec![(4.0, 0.0), (5.0, 0.0), (5.0, 2.0)], vec![(5.0, 3.0), (5.0, 5.0)]];
        assert_eq!(dashes(&line, &[3.0, 1.0]), expected);
        assert_eq!(dashes(&line, &[]), vec![line.to_vec()]);
    }

    /// Dark pixels: (left, top, right, bottom).
    fn inked(image: &RgbImage) -> (u32, u32, u32, u32) {
        let dark = image.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128);
        dark.fold((u32::MAX, u32::MAX, 0, 0), |b, (x, y, _)| (b.0.min(x), b.1.min(y), b.2.max(x), b.3.max(y)))
    }

    #[test]
    fn text_stands_where_it_was_put_upright_and_turned() {
        for (anchor, start) in [(Anchor::Start, 50.0), (Anchor::Middle, 50.0 - 20.0), (Anchor::End, 50.0 - 40.0)] {
            let mut scene = Scene { width: 100.0, height: 100.0, ..Scene::default() };
            scene.text("HHH", (50.0, 60.0), anchor, 40.0 / 2.256, INK);
            let (left, top, right, bottom) = inked(&scene.to_image(4).unwrap());
            // Three H of DejaVu Sans are 3 · 0.752 em wide and 0.729 em high.
            assert!(
                (f64::from(left) - 4.0 * start).abs() < 10.0 && (f64::from(right) - 4.0 * (start + 40.0)).abs() < 10.0
            );
            assert!((f64::from(bottom) - 240.0).abs() < 4.0 && (f64::from(top) - (240.0 - 4.0 * 12.93)).abs() < 4.0);
        }
        let mut scene = Scene { width: 100.0, height: 100.0, ..Scene::default() };
        let turned = Text {
            text: "HHH".into(),
            at: (60.0, 50.0),
            anchor: Anchor::Start,
            size: 40.0 / 2.256,
            colour: INK,
            turned: true,
        };
        let (left, top, right, bottom) = turned.bounds();
        scene.shapes.push(Shape::Text(turned));
        let ink = inked(&scene.to_image(4).unwrap());
        assert!((f64::from(ink.2) - 240.0).abs() < 4.0, "{ink:?}");
        assert!(f64::from(ink.0) >= 4.0 * left && f64::from(ink.1) >= 4.0 * top, "{ink:?}");
        assert!(f64::from(ink.2) <= 4.0 * right && f64::from(ink.3) <= 4.0 * bottom, "{ink:?}");
    }

    #[test]
    fn svg_text_stays_text_and_is_escaped() {
        let mut scene = Scene { width: 100.0, height: 50.0, ..Scene::default() };
        scene.text("a < b & \"c\"", (5.0, 20.0), Anchor::Start, 10.0, INK);
        let svg = scene.to_svg().unwrap();
        assert!(svg.starts_with("<svg width=\"100\" height=\"50\" viewBox=\"0 0 1000 500\""), "{svg}");
        assert!(
            svg.contains("a &lt; b &amp;") && svg.contains("font-family=\"sans-serif\" font-size=\"100\""),
            "{svg}"
        );
        // 20 px is the baseline: 0.76 em of 10 px below y.
        assert!(svg.contains("y=\"124\" dy=\"0.76em\""), "{svg}");
    }
}
