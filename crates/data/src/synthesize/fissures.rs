//! Fissures: cracks as random walks with branches, their width varying along them.

use matssl_base::random::Stream;

/// Distance from one point of a fissure to the next in pixels.
const STEP: f64 = 0.75;

/// How a fissure begins and grows.
#[derive(Clone, Copy)]
pub(super) struct Growth {
    /// Where it begins.
    pub(super) start: (f64, f64),
    /// Its direction in radians, to which it returns.
    pub(super) angle: f64,
    /// Length in pixels.
    pub(super) length: f64,
    /// Half of its largest width in pixels.
    pub(super) half_width: f64,
    /// How much it bends: standard deviation of its direction in radians.
    pub(super) bend: f64,
    /// Mean number of branches.
    pub(super) branches: f64,
}

/// The points of fissures.
#[derive(Default)]
pub(super) struct Fissures {
    /// Position and half width.
    points: Vec<(f64, f64, f64)>,
}

impl Fissures {
    /// Adds a fissure and its branches.
    pub(super) fn grow(&mut self, growth: Growth, stream: &mut Stream) {
        let steps = (growth.length / STEP).ceil().max(1.0) as usize;
        let (mut x, mut y) = growth.start;
        let (mut turn, mut swelling) = (0.0, 0.0);
        // An autoregression: correlated over about a sixth of the length, at least over 12 pixels.
        let keep = 1.0 - STEP / (growth.length / 6.0).max(12.0);
        let fresh = (1.0 - keep * keep).sqrt();
        let mut branches = Vec::new();
        for step in 0..steps {
            let part = step as f64 / steps as f64;
            turn = keep * turn + fresh * growth.bend * stream.normal();
            swelling = keep * swelling + fresh * stream.normal();
            // Narrow towards its end.
            let taper = (1.0 - part * part).sqrt();
            self.points.push((x, y, (growth.half_width * taper * (1.0 + 0.35 * swelling)).max(0.7)));
            let angle = growth.angle + turn;
            if stream.chance(growth.branches / steps as f64) {
                let aside = stream.range(0.4, 1.1) * if stream.chance(0.5) { 1.0 } else { -1.0 };
                branches.push(Growth {
                    start: (x, y),
                    angle: angle + aside,
                    length: growth.length * (1.0 - part) * stream.range(0.3, 0.7),
                    half_width: 0.6 * growth.half_width * taper,
                    branches: 0.0,
                    ..growth
                });
            }
            (x, y) = (x + STEP * angle.cos(), y + STEP * angle.sin());
        }
        for branch in branches {
            self.grow(branch, stream);
        }
    }

    /// For each pixel of a picture of `size` × `size`: the distance to the outline in pixels, positive inside a fissure; −∞ further
    /// than `margin` from all.
    pub(super) fn depths(&self, size: usize, margin: f64) -> Vec<f64> {
        let mut depths = vec![f64::NEG_INFINITY; size * size];
        let bounds = |centre: f64, reach: f64| {
            let clamp = |v: f64| v.clamp(0.0, size as f64) as usize;
            clamp(centre - reach)..clamp(centre + reach + 1.0)
        };
        for &(x, y, half_width) in &self.points {
            let reach = half_width + margin;
            for row in bounds(y, reach) {
                for column in bounds(x, reach) {
                    let depth = half_width - (column as f64 - x).hypot(row as f64 - y);
                    if depth > -margin {
                        let known = &mut depths[row * size + column];
                        *known = known.max(depth);
                    }
                }
            }
        }
        depths
    }
}

/// Draws fissures over `grey`: dark, and bright at their rims, which many electrons leave. `contrast` from 0 to 1 is how dark.
/// Calls `inside(pixel index)` for the pixels of the fissures.
pub(super) fn etch(depths: &[f64], contrast: f64, grey: &mut [f64], mut inside: impl FnMut(usize)) {
    for (i, (&depth, grey)) in depths.iter().zip(grey).enumerate().filter(|(_, (depth, _))| depth.is_finite()) {
        if depth > 0.0 {
            let dark = 70.0 - 35.0 * (1.0 - (-depth / 1.5).exp());
            *grey += contrast * (dark - *grey);
            inside(i);
        } else {
            *grey += 20.0 * contrast * (-((depth + 0.9) / 1.1).powi(2)).exp();
        }
    }
}

/// How far from a fissure its rim reaches, in pixels.
pub(super) const RIM: f64 = 4.0;
