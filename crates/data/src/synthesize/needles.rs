//! Needles: lens-shaped laths in packets of one direction, as in martensite.

use super::drawing::Drawing;
use super::field::Field;
use super::grains::Grains;
use super::pores::pores;
use super::scale::Scale;
use matssl_base::random::Stream;
use std::f64::consts::PI;

/// The phases, in the order of their mask values.
pub(super) const CLASSES: [&str; 3] = ["matrix", "needle", "pore"];
const MATRIX: u8 = 0;
const NEEDLE: u8 = 1;
const PORE: u8 = 2;

/// A needle: a lens about its axis.
struct Needle {
    x: f64,
    y: f64,
    /// Cosine and sine of its direction.
    along: (f64, f64),
    /// Half its length and half its width in pixels.
    half: (f64, f64),
    /// Grey value.
    grey: f64,
    /// Difference in grey between its two flanks: the relief of a surface that is tilted by the transformation.
    relief: f64,
}

/// Draws one picture: packets (a Voronoi diagram), each with one of three directions, as the variants of one orientation
/// relationship appear on a polished surface.
pub(super) fn draw(scale: &Scale, base: &Stream) -> Drawing {
    let size = scale.size;
    let packets = Grains::new(size, 2.6 * scale.grain, &mut base.child(0));
    let mut stream = base.child(1);
    let first = stream.range(0.0, PI);
    let looks: Vec<(f64, f64)> = (0..packets.len())
        .map(|_| {
            let variant = stream.below(3) as f64;
            (first + variant * PI / 3.0 + 0.12 * stream.normal(), 118.0 + 7.0 * stream.normal())
        })
        .collect();
    let mut texture = base.child(2);
    let fine = Field::new(size, 2.5, &mut texture);
    let carbides = Field::new(size, (0.06 * scale.grain).max(2.0), &mut texture);
    let mut packet_of = Vec::with_capacity(size * size);
    let mut drawing = Drawing::new(size);
    for i in 0..size * size {
        let (x, y) = ((i % size) as f64, (i / size) as f64);
        let point = packets.at(x, y);
        packet_of.push(point.grain);
        // Fine bright particles in the matrix.
        let carbide = 26.0 * ((carbides.at(x, y) - 1.1) / 0.4).clamp(0.0, 1.0);
        let boundary = 24.0 * (-(point.to_boundary / 1.2).powi(2)).exp();
        drawing.grey[i] = looks[point.grain].1 + 5.0 * fine.at(x, y) + carbide - boundary;
        drawing.labels[i] = MATRIX;
    }
    for needle in scattered(scale, &packets, &looks, &mut base.child(3)) {
        let packet = packets.at(needle.x, needle.y).grain;
        needle.visit(size, |i, across, depth| {
            // A needle ends at the boundary of its packet.
            if packet_of[i] == packet {
                let (x, y) = ((i % size) as f64, (i / size) as f64);
                let midrib = 9.0 * (-(across / 0.3).powi(2)).exp();
                let edge = 34.0 * (-(depth / 0.9).powi(2)).exp();
                drawing.grey[i] = needle.grey + needle.relief * across + midrib - edge + 4.0 * fine.at(x, y);
                drawing.labels[i] = NEEDLE;
            }
        });
    }
    pores(scale, 0.012, PORE, &mut base.child(4), &mut drawing);
    drawing
}

/// Needles at random positions that together cover about half of the picture.
fn scattered(scale: &Scale, packets: &Grains, looks: &[(f64, f64)], stream: &mut Stream) -> Vec<Needle> {
    let grain = scale.grain;
    let (length, width) = ([0.4 * grain, 1.3 * grain], [(0.035 * grain).max(0.9), (0.085 * grain).max(1.3)]);
    let middle = |[low, high]: [f64; 2]| 0.5 * (low + high);
    // The area of a lens of half length a and half width b is 8ab/3.
    let area = 8.0 / 3.0 * middle(length) * middle(width);
    let share = 0.5 * stream.range(0.85, 1.2);
    let side = scale.size as f64 + 2.0 * length[1];
    let count = (-(1.0 - share).ln() * side * side / area + stream.uniform()) as usize;
    (0..count)
        .map(|_| {
            let end = scale.size as f64 + length[1];
            let (x, y) = (stream.range(-length[1], end), stream.range(-length[1], end));
            let angle = looks[packets.at(x, y).grain].0 + 0.05 * stream.normal();
            Needle {
                x,
                y,
                along: (angle.cos(), angle.sin()),
                half: (stream.range(length[0], length[1]), stream.range(width[0], width[1])),
                grey: 131.0 + 13.0 * stream.normal(),
                relief: 20.0 * stream.normal(),
            }
        })
        .collect()
}

impl Needle {
    /// Calls `visit(pixel index, across, depth)` for its pixels: `across` from −1 to 1 between its flanks, `depth` the distance to
    /// its outline in pixels.
    fn visit(&self, size: usize, mut visit: impl FnMut(usize, f64, f64)) {
        let (cos, sin) = self.along;
        let reach =
            (self.half.0 * cos.abs() + self.half.1 * sin.abs(), self.half.0 * sin.abs() + self.half.1 * cos.abs());
        let bounds = |centre: f64, reach: f64| {
            let clamp = |v: f64| v.clamp(0.0, size as f64) as usize;
            clamp(centre - reach)..clamp(centre + reach + 1.0)
        };
        for y in bounds(self.y, reach.1) {
            for x in bounds(self.x, reach.0) {
                let (dx, dy) = (x as f64 - self.x, y as f64 - self.y);
                let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
                let outline = self.half.1 * (1.0 - (u / self.half.0).powi(2));
                let depth = outline - v.abs();
                if depth > 0.0 {
                    visit(y * size + x, v / self.half.1, depth);
                }
            }
        }
    }
}
