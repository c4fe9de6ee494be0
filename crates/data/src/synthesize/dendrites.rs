//! Dendrites: trunks with side arms in a fine eutectic, as in a casting or a weld.

use super::drawing::Drawing;
use super::field::Field;
use super::grains::Grains;
use super::pores::pores;
use super::scale::Scale;
use matssl_base::random::Stream;
use std::f64::consts::{PI, TAU};

/// The phases, in the order of their mask values.
pub(super) const CLASSES: [&str; 3] = ["interdendritic", "dendrite", "pore"];
const INTERDENDRITIC: u8 = 0;
const DENDRITE: u8 = 1;
const PORE: u8 = 2;

/// Number of random lengths and offsets that the trunks of a grain take in turn.
const TURNS: i64 = 31;

/// The dendrites of one grain: parallel trunks at a spacing, with arms on both sides.
struct Colony {
    /// Cosine and sine of the direction of the trunks.
    along: (f64, f64),
    /// Spacing of the trunks, and of the arms along a trunk, in pixels (the primary and secondary arm spacing).
    spacing: (f64, f64),
    /// Tangent of the arms' inclination towards the tip.
    slant: f64,
    /// From 0 to 1, for offsets of trunks and lengths of arms.
    turns: Vec<f64>,
    grey: f64,
}

impl Colony {
    fn new(grain: f64, stream: &mut Stream) -> Self {
        let angle = stream.range(0.0, TAU);
        Colony {
            along: (angle.cos(), angle.sin()),
            spacing: (grain * stream.range(1.2, 1.8), (grain * stream.range(0.30, 0.42)).max(4.0)),
            slant: stream.range(0.0, 0.6),
            turns: (0..TURNS).map(|_| stream.uniform()).collect(),
            grey: 6.0 * stream.normal(),
        }
    }

    fn turn(&self, index: i64) -> f64 {
        self.turns[index.rem_euclid(TURNS) as usize]
    }

    /// Distance to the outline of the nearest dendrite in pixels (roughly), positive inside. `bend` moves the point across.
    fn depth(&self, x: f64, y: f64, bend: f64) -> f64 {
        let (cos, sin) = self.along;
        let (u, v) = (x * cos + y * sin, y * cos - x * sin + bend);
        let (primary, secondary) = self.spacing;
        let trunk = (v / primary).round();
        let beside = v - trunk * primary;
        let trunk = trunk as i64;
        // Arms of the two sides alternate.
        let side = if beside > 0.0 { 0.5 } else { 0.0 };
        let phase = (u - self.slant * beside.abs()) / secondary + self.turn(trunk) + side;
        let arm = phase.round();
        let reach = primary * (0.30 + 0.19 * self.turn(7 * arm as i64 + 3 * trunk));
        let width = 0.36 * secondary * (1.0 - (beside / reach).powi(2)).max(0.0).sqrt();
        let of_trunk = 0.11 * primary - beside.abs();
        of_trunk.max(width - ((phase - arm) * secondary).abs() - if width > 0.0 { 0.0 } else { beside.abs() - reach })
    }
}

/// Draws one picture.
pub(super) fn draw(scale: &Scale, base: &Stream) -> Drawing {
    let (size, grain) = (scale.size, scale.grain);
    let grains = Grains::new(size, 4.5 * grain, &mut base.child(0));
    let mut stream = base.child(1);
    let colonies: Vec<Colony> = (0..grains.len()).map(|_| Colony::new(grain, &mut stream)).collect();
    // The eutectic: fine lamellae of one direction, bent.
    let (angle, period) = (stream.range(0.0, PI), (0.10 * grain).max(3.0));
    let wave = (TAU / period * angle.cos(), TAU / period * angle.sin());
    let mut texture = base.child(2);
    let fine = Field::new(size, 2.5, &mut texture);
    let bend = Field::new(size, 0.9 * grain, &mut texture);
    let rough = Field::new(size, (0.10 * grain).max(2.0), &mut texture);
    let mut drawing = Drawing::new(size);
    drawing.fill(|x, y| {
        let colony = &colonies[grains.at(x, y).grain];
        let depth = colony.depth(x, y, 0.10 * grain * bend.at(x, y)) + 0.035 * grain * rough.at(x, y);
        let edge = 14.0 * (-(depth / 1.2).powi(2)).exp();
        let grain_noise = 4.0 * fine.at(x, y);
        if depth > 0.0 {
            // Coring: what solidified first is lighter.
            let coring = 11.0 * (depth / (0.14 * grain)).min(1.0);
            return (103.0 + colony.grey + coring + grain_noise - edge, DENDRITE);
        }
        let phase = wave.0 * x + wave.1 * y + 2.5 * bend.at(x, y);
        (130.0 + 19.0 * phase.sin() + 9.0 * rough.at(x, y) + grain_noise - edge, INTERDENDRITIC)
    });
    pores(scale, 0.02, PORE, &mut base.child(4), &mut drawing);
    drawing
}
