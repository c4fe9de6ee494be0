//! Cracks: branched fissures through grains, whose boundaries are dark as well.

use super::drawing::Drawing;
use super::field::Field;
use super::fissures::{Fissures, Growth, RIM, etch};
use super::grains::Grains;
use super::pores::pores;
use super::scale::Scale;
use matssl_base::random::Stream;
use std::f64::consts::TAU;

/// The phases, in the order of their mask values.
pub(super) const CLASSES: [&str; 3] = ["matrix", "crack", "pore"];
const MATRIX: u8 = 0;
const CRACK: u8 = 1;
const PORE: u8 = 2;

/// Draws one picture.
pub(super) fn draw(scale: &Scale, base: &Stream) -> Drawing {
    let (size, side) = (scale.size, scale.size as f64);
    let grains = Grains::new(size, scale.grain, &mut base.child(0));
    let mut stream = base.child(1);
    let tones: Vec<f64> = (0..grains.len()).map(|_| 118.0 + 12.0 * stream.normal()).collect();
    let (boundary, width) = (stream.range(25.0, 55.0), stream.range(0.9, 1.6));
    let mut texture = base.child(2);
    let fine = Field::new(size, 2.5, &mut texture);
    let mottle = Field::new(size, 0.12 * scale.grain, &mut texture);
    let mut drawing = Drawing::new(size);
    drawing.fill(|x, y| {
        let point = grains.at(x, y);
        let dark = boundary * (-(point.to_boundary / width).powi(2)).exp();
        (tones[point.grain] + 5.0 * fine.at(x, y) + 6.0 * mottle.at(x, y) - dark, MATRIX)
    });
    pores(scale, 0.02, PORE, &mut base.child(4), &mut drawing);
    let mut stream = base.child(3);
    let mut fissures = Fissures::default();
    // Main cracks have one direction, that across the load.
    let load = stream.range(0.0, TAU);
    for _ in 0..1 + stream.below(3) {
        let growth = Growth {
            start: (stream.range(0.0, side), stream.range(0.0, side)),
            angle: load + 0.25 * stream.normal() + if stream.chance(0.5) { 0.0 } else { TAU / 2.0 },
            length: side * stream.range(0.4, 1.1),
            half_width: (scale.grain * stream.range(0.025, 0.07)).max(0.9),
            bend: stream.range(0.3, 0.6),
            branches: 2.5,
        };
        fissures.grow(growth, &mut stream);
    }
    let contrast = stream.range(0.6, 1.0);
    let Drawing { grey, labels, .. } = &mut drawing;
    etch(&fissures.depths(size, RIM), contrast, grey, |i| labels[i] = CRACK);
    drawing
}
