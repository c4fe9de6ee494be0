//! Steel: grains, lamellar colonies, islands and pores.

use super::blobs::{Shape, scatter};
use super::drawing::Drawing;
use super::field::Field;
use super::grains::Grains;
use super::pores::pores;
use super::scale::Scale;
use matssl_base::random::Stream;
use std::f64::consts::{PI, TAU};

/// The phases, in the order of their mask values.
pub(super) const CLASSES: [&str; 4] = ["matrix", "lamellar", "island", "pore"];
const MATRIX: u8 = 0;
const LAMELLAR: u8 = 1;
const ISLAND: u8 = 2;
const PORE: u8 = 3;

/// The appearance of a grain.
struct Look {
    /// Mean grey value.
    grey: f64,
    lamellae: Option<Lamellae>,
}

/// Parallel plates, cut by the polished surface.
struct Lamellae {
    /// Direction across the plates, times 2π over their spacing.
    wave: (f64, f64),
    phase: f64,
    amplitude: f64,
}

/// Draws one picture.
pub(super) fn draw(scale: &Scale, base: &Stream) -> Drawing {
    let size = scale.size;
    let grains = Grains::new(size, scale.grain, &mut base.child(0));
    let looks = looks(scale, &grains, &mut base.child(1));
    let mut texture = base.child(2);
    let fine = Field::new(size, 2.5, &mut texture);
    let wavy = Field::new(size, scale.grain / 2.0, &mut texture);

    let mut drawing = Drawing::new(size);
    drawing.fill(|x, y| {
        let point = grains.at(x, y);
        let look = &looks[point.grain];
        let mut grey = look.grey + 4.0 * fine.at(x, y);
        if let Some(lamellae) = &look.lamellae {
            let phase = lamellae.wave.0 * x + lamellae.wave.1 * y + lamellae.phase + 0.9 * wavy.at(x, y);
            // Narrow bright plates of cementite on darker ferrite.
            grey += lamellae.amplitude * (2.0 * (0.5 + 0.5 * phase.sin()).powf(1.7) - 0.75);
        }
        // The etchant makes boundaries dark.
        grey -= 42.0 * (-(point.to_boundary / 1.3).powi(2)).exp();
        (grey, if look.lamellae.is_some() { LAMELLAR } else { MATRIX })
    });
    islands(scale, &grains, &fine, base, &mut drawing);
    pores(scale, 0.065, PORE, &mut base.child(4), &mut drawing);
    drawing
}

/// Draws which grains are lamellar (clusters of neighbours, like pearlite) and how each grain looks.
fn looks(scale: &Scale, grains: &Grains, stream: &mut Stream) -> Vec<Look> {
    let clusters = Field::new(scale.size, 2.2 * scale.grain, stream);
    let mut affinity: Vec<(f64, usize)> =
        grains.iter().map(|(grain, (x, y))| (clusters.at(x, y) + 0.35 * stream.normal(), grain)).collect();
    affinity.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // Islands and pores cover a part of them later.
    let lamellar = (affinity.len() as f64 * stream.range(0.20, 0.32)).round() as usize;
    let mut is_lamellar = vec![false; grains.len()];
    for (_, grain) in &affinity[..lamellar] {
        is_lamellar[*grain] = true;
    }
    is_lamellar
        .into_iter()
        .map(|is_lamellar| {
            let tone = stream.normal();
            if !is_lamellar {
                return Look { grey: 118.0 + 11.0 * tone, lamellae: None };
            }
            let spacing = scale.grain * stream.range(0.10, 0.17);
            let angle = stream.range(0.0, PI);
            let wave = (TAU / spacing * angle.cos(), TAU / spacing * angle.sin());
            let lamellae = Lamellae { wave, phase: stream.range(0.0, TAU), amplitude: stream.range(22.0, 38.0) };
            Look { grey: 116.0 + 9.0 * tone, lamellae: Some(lamellae) }
        })
        .collect()
}

/// Bright islands, mostly along grain boundaries, mottled inside, with the bright edge of a step in height.
fn islands(scale: &Scale, grains: &Grains, fine: &Field, base: &Stream, drawing: &mut Drawing) {
    let mut stream = base.child(3);
    let shape = Shape { radius: [0.10 * scale.grain, 0.30 * scale.grain], stretch: 2.6, roughness: 0.34, harmonics: 4 };
    let share = 0.16 * stream.range(0.75, 1.25);
    let blobs = scatter(scale.size, share, &shape, &mut stream, |x, y, stream| {
        // Of a few random points, the one that is nearest to a boundary.
        let tries = (0..4).map(|_| {
            let (x, y) = (x + 0.3 * scale.grain * stream.normal(), y + 0.3 * scale.grain * stream.normal());
            (grains.at(x, y).to_boundary, x, y)
        });
        tries.min_by(|a, b| a.0.total_cmp(&b.0)).map_or((x, y), |(_, x, y)| (x, y))
    });
    let mottle = Field::new(scale.size, 0.07 * scale.grain, &mut stream);
    for blob in blobs {
        blob.visit(scale.size, 0.0, |i, depth| {
            let (x, y) = ((i % scale.size) as f64, (i / scale.size) as f64);
            let edge = 16.0 * (-(depth / 1.4).powi(2)).exp();
            drawing.grey[i] = 152.0 + 9.0 * blob.shade + 9.0 * mottle.at(x, y) + 4.0 * fine.at(x, y) + edge;
            drawing.labels[i] = ISLAND;
        });
    }
}
