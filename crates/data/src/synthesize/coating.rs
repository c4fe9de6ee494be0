//! A coating in cross-section: coating, oxide layer of varying thickness, substrate; cracks in the first two.
//!
//! As in environmental barrier coatings (silicate over silicon, with silica grown between them): the coating is bright and porous,
//! its lower boundary rough, and oxide and substrate have nearly the same grey value.

use super::blobs::{Shape, scatter};
use super::drawing::Drawing;
use super::field::Field;
use super::fissures::{Fissures, Growth, RIM, etch};
use super::grains::Grains;
use super::scale::Scale;
use matssl_base::random::Stream;
use std::f64::consts::{FRAC_PI_2, TAU};

/// The phases, in the order of their mask values.
pub(super) const CLASSES: [&str; 5] = ["coating", "oxide", "substrate", "crack", "pore"];
const COATING: u8 = 0;
const OXIDE: u8 = 1;
const SUBSTRATE: u8 = 2;
const CRACK: u8 = 3;
const PORE: u8 = 4;

/// The two boundaries of the oxide, in each column of the picture.
struct Layers {
    /// Row where the oxide begins, and where the substrate begins.
    rows: Vec<(f64, f64)>,
}

impl Layers {
    fn new(scale: &Scale, stream: &mut Stream) -> Self {
        let (size, grain, side) = (scale.size, scale.grain, scale.size as f64);
        let (top, tilt) = (side * stream.range(0.30, 0.52), stream.range(-0.12, 0.12));
        let thickness = (side * stream.range(0.12, 0.26)).max(4.0);
        let coarse = Field::new(size, 1.2 * grain, stream);
        let rough = Field::new(size, (0.22 * grain).max(2.0), stream);
        let slow = Field::new(size, 0.4 * side, stream);
        let lower = Field::new(size, 0.8 * grain, stream);
        let row = |x: usize| {
            let x = x as f64;
            let wave = 0.10 * grain * coarse.at(x, 0.0) + 0.05 * grain * rough.at(x, 0.0);
            let top = top + tilt * (x - side / 2.0) + wave;
            let thickness = thickness * (1.0 + 0.35 * slow.at(x, 0.0)).max(0.25);
            (top, top + thickness + 0.04 * grain * lower.at(x, 0.0))
        };
        Layers { rows: (0..size).map(row).collect() }
    }

    /// The layer of a point, and the distance to the nearest boundary in pixels.
    fn at(&self, x: f64, y: f64) -> (u8, f64) {
        let (top, bottom) = self.rows[(x as usize).min(self.rows.len() - 1)];
        let class = if y < top {
            COATING
        } else if y < bottom {
            OXIDE
        } else {
            SUBSTRATE
        };
        (class, (y - top).abs().min((y - bottom).abs()))
    }
}

/// Draws one picture.
pub(super) fn draw(scale: &Scale, base: &Stream) -> Drawing {
    let (size, grain) = (scale.size, scale.grain);
    let layers = Layers::new(scale, &mut base.child(0));
    let grains = Grains::new(size, 1.5 * grain, &mut base.child(1));
    let mut stream = base.child(2);
    let tones: Vec<f64> = (0..grains.len()).map(|_| 2.5 * stream.normal()).collect();
    let coating = stream.range(150.0, 205.0);
    let (oxide, substrate) = (112.0 + stream.range(-9.0, 9.0), 112.0 + stream.range(-9.0, 9.0));
    let boundary = stream.range(-18.0, 10.0);
    let fine = Field::new(size, 2.5, &mut stream);
    let phases = Field::new(size, 0.35 * grain, &mut stream);
    let streaks = Field::new(size, 0.8 * grain, &mut stream);
    let mut drawing = Drawing::new(size);
    drawing.fill(|x, y| {
        let (class, to_boundary) = layers.at(x, y);
        let grey = match class {
            // Splats lie flat, and a second, darker phase between them.
            COATING => {
                let second = ((phases.at(x, 2.2 * y) - 0.9) / 0.3).clamp(0.0, 1.0);
                coating + 5.0 * streaks.at(x, 3.0 * y) - 26.0 * second
            }
            OXIDE => oxide + 4.0 * phases.at(x, 0.4 * y),
            _ => substrate + tones[grains.at(x, y).grain],
        };
        (grey + 3.5 * fine.at(x, y) + boundary * (-(to_boundary / 1.4).powi(2)).exp(), class)
    });
    pores(scale, &layers, &mut base.child(3), &mut drawing);
    cracks(scale, &layers, &mut base.child(4), &mut drawing);
    drawing
}

/// Irregular dark pores: many in the coating, some in the oxide, few in the substrate.
fn pores(scale: &Scale, layers: &Layers, stream: &mut Stream, drawing: &mut Drawing) {
    let grain = scale.grain;
    let shape = Shape { radius: [0.05 * grain, 0.26 * grain], stretch: 2.2, roughness: 0.4, harmonics: 4 };
    let share = 0.12 * stream.range(0.6, 1.4);
    for blob in scatter(scale.size, share, &shape, stream, |x, y, _| (x, y)) {
        let (class, _) = layers.at(blob.centre().0.max(0.0), blob.centre().1);
        let kept = match class {
            COATING => 0.85,
            OXIDE => 0.5,
            _ => 0.3,
        };
        if !stream.chance(kept) {
            continue;
        }
        blob.visit(scale.size, 0.0, |i, depth| {
            drawing.grey[i] = 70.0 + 16.0 * blob.shade - 28.0 * (1.0 - (-depth / 3.0).exp());
            drawing.labels[i] = PORE;
        });
    }
}

/// Cracks across the oxide, as it has when its cristobalite contracts, some along the boundaries, and long ones in the coating.
fn cracks(scale: &Scale, layers: &Layers, stream: &mut Stream, drawing: &mut Drawing) {
    let (grain, side) = (scale.grain, scale.size as f64);
    let mut fissures = Fissures::default();
    let mut x = grain * stream.range(0.2, 1.5);
    while x < side {
        let (top, bottom) = layers.rows[x as usize];
        let growth = Growth {
            start: (x, top),
            angle: FRAC_PI_2 + 0.2 * stream.normal(),
            length: (bottom - top) * stream.range(0.5, 1.15),
            half_width: (grain * stream.range(0.015, 0.045)).max(0.8),
            bend: 0.3,
            branches: 0.3,
        };
        fissures.grow(growth, stream);
        x += grain * stream.range(0.8, 2.6);
    }
    for _ in 0..stream.below(3) {
        let x = stream.range(0.0, side - 1.0);
        let (top, bottom) = layers.rows[x as usize];
        let row = if stream.chance(0.5) { top } else { bottom };
        let growth = Growth {
            start: (x, row),
            angle: if stream.chance(0.5) { 0.0 } else { TAU / 2.0 } + 0.06 * stream.normal(),
            length: side * stream.range(0.15, 0.5),
            half_width: (grain * stream.range(0.02, 0.05)).max(0.8),
            bend: 0.12,
            branches: 0.5,
        };
        fissures.grow(growth, stream);
    }
    if stream.chance(0.6) {
        let x = stream.range(0.0, side - 1.0);
        let growth = Growth {
            start: (x, layers.rows[x as usize].0),
            angle: -FRAC_PI_2 + 0.5 * stream.normal(),
            length: side * stream.range(0.2, 0.6),
            half_width: (grain * stream.range(0.025, 0.07)).max(0.9),
            bend: 0.5,
            branches: 1.5,
        };
        fissures.grow(growth, stream);
    }
    let contrast = stream.range(0.7, 1.0);
    let Drawing { grey, labels, .. } = drawing;
    // A crack that meets a pore ends in it.
    let depths = fissures.depths(scale.size, RIM);
    etch(&depths, contrast, grey, |i| {
        if labels[i] != PORE {
            labels[i] = CRACK;
        }
    });
}
