//! A scene as a bitmap.

use super::dashes::dashes;
use super::shape::{Point, Scene, Shape};
use crate::font;
use crate::palette::Colour;
use anyhow::anyhow;
use image::{Rgb, RgbImage};
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{RGBAColor, ShapeStyle};

/// Shapes are painted this much larger and then averaged: plotters does not smooth thick lines.
const SUPERSAMPLING: u32 = 3;

impl Scene {
    /// The picture as a bitmap, in which each pixel at scale 1 becomes `scale` × `scale`.
    ///
    /// # Errors
    /// If the font cannot be read.
    pub(crate) fn to_image(&self, scale: u32) -> anyhow::Result<RgbImage> {
        let pixels = |length: f64| (length * f64::from(scale)).ceil() as u32;
        let (width, height) = (pixels(self.width), pixels(self.height));
        let (large_width, large_height) = (width * SUPERSAMPLING, height * SUPERSAMPLING);
        let mut large = vec![255u8; large_width as usize * large_height as usize * 3];
        {
            let mut painter = BitMapBackend::with_buffer(&mut large, (large_width, large_height));
            self.shapes.iter().try_for_each(|shape| paint(&mut painter, shape, f64::from(scale * SUPERSAMPLING)))?;
            painter.present().map_err(fault)?;
        }
        let mut picture = averaged(&large, width, height);
        let scale = f64::from(scale);
        // plotters drops the left side bearings of letters: text is written by our own function, after the shapes.
        for shape in &self.shapes {
            if let Shape::Text(text) = shape {
                let (x, y) = text.start();
                let start = (x * scale, y * scale);
                font::write(&mut picture, &text.text, text.size * scale, start, text.turned, text.colour)?;
            }
        }
        Ok(picture)
    }
}

/// The mean of each block of `SUPERSAMPLING`² pixels.
fn averaged(large: &[u8], width: u32, height: u32) -> RgbImage {
    let row = (width * SUPERSAMPLING) as usize;
    RgbImage::from_fn(width, height, |x, y| {
        let mut sum = [0u32; 3];
        for dy in 0..SUPERSAMPLING {
            let start = ((y * SUPERSAMPLING + dy) as usize * row + (x * SUPERSAMPLING) as usize) * 3;
            for pixel in large[start..start + 3 * SUPERSAMPLING as usize].chunks_exact(3) {
                sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
            }
        }
        let count = SUPERSAMPLING * SUPERSAMPLING;
        Rgb(sum.map(|sum| ((sum + count / 2) / count) as u8))
    })
}

/// Paints one shape, `scale` pixels for one of the scene's; text is left out.
fn paint(painter: &mut BitMapBackend<'_>, shape: &Shape, scale: f64) -> anyhow::Result<()> {
    let pixel = |(x, y): Point| ((x * scale).round() as i32, (y * scale).round() as i32);
    let length = |length: f64| (length * scale).round().max(1.0) as u32;
    match shape {
        Shape::Line { points, colour, width, dash } => {
            let style = ShapeStyle { color: rgba(*colour, 1.0), filled: false, stroke_width: length(*width) };
            for piece in dashes(points, dash) {
                let mut path: Vec<_> = piece.into_iter().map(pixel).collect();
                path.dedup();
                if path.len() > 1 {
                    painter.draw_path(path, &style).map_err(fault)?;
                }
            }
            Ok(())
        }
        Shape::Area { points, colour, opacity } => {
            let style = ShapeStyle { color: rgba(*colour, *opacity), filled: true, stroke_width: 0 };
            painter.fill_polygon(points.iter().copied().map(pixel), &style).map_err(fault)
        }
        Shape::Disc { centre, radius, colour } => {
            let style = ShapeStyle { color: rgba(*colour, 1.0), filled: true, stroke_width: 0 };
            painter.draw_circle(pixel(*centre), length(*radius), &style, true).map_err(fault)
        }
        Shape::Text(_) => Ok(()),
    }
}

fn rgba([red, green, blue]: Colour, opacity: f64) -> RGBAColor {
    RGBAColor(red, green, blue, opacity)
}

fn fault(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("painting a bitmap failed: {error}")
}

#[cfg(test)]
mod tests {
    use super::super::shape::{Anchor, Text};
    use super::*;
    use crate::palette::INK;

    /// Dark pixels: (left, top, right, bottom).
    fn inked(image: &RgbImage) -> (u32, u32, u32, u32) {
        let dark = image.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128);
        dark.fold((u32::MAX, u32::MAX, 0, 0), |b, (x, y, _)| (b.0.min(x), b.1.min(y), b.2.max(x), b.3.max(y)))
    }

    #[test]
    fn text_is_where_it_was_put_upright_and_turned() {
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
}
