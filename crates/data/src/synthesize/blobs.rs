//! Islands and pores: closed curves about a centre, radius a short Fourier series of the angle.

use matssl_base::random::Stream;
use std::f64::consts::{PI, TAU};

/// An island or a pore.
pub(super) struct Blob {
    x: f64,
    y: f64,
    radius: f64,
    /// Width over height of the blob before it is turned by `angle`.
    stretch: f64,
    angle: f64,
    /// Amplitude and phase of the second, third, … harmonic.
    harmonics: Vec<(f64, f64)>,
    /// Standard normal number for its grey value.
    pub(super) shade: f64,
}

/// The shape of one kind of blob.
pub(super) struct Shape {
    /// Bounds of the mean radius in pixels.
    pub(super) radius: [f64; 2],
    /// The largest elongation.
    pub(super) stretch: f64,
    /// Roughness of the outline: sum of the amplitudes, in radii.
    pub(super) roughness: f64,
    /// Number of harmonics.
    pub(super) harmonics: usize,
}

/// Blobs at random positions that together cover about `share` of `size` × `size` pixels. `move_centre` may
/// move a centre, e.g. towards a grain boundary.
pub(super) fn scatter(
    size: usize,
    share: f64,
    shape: &Shape,
    stream: &mut Stream,
    move_centre: impl Fn(f64, f64, &mut Stream) -> (f64, f64),
) -> Vec<Blob> {
    let [low, high] = shape.radius;
    let mean_area = PI * (low * low + low * high + high * high) / 3.0;
    // With overlaps: randomly placed discs of total area a cover 1 − exp(−a).
    let side = size as f64 + 2.0 * high;
    let expected = -(1.0 - share).ln() * side * side / mean_area;
    let count = (expected + stream.uniform()) as usize;
    (0..count)
        .map(|_| {
            let (x, y) = (stream.range(-high, size as f64 + high), stream.range(-high, size as f64 + high));
            let (x, y) = move_centre(x, y, stream);
            let amplitude = shape.roughness / shape.harmonics as f64;
            Blob {
                x,
                y,
                radius: stream.range(low, high),
                stretch: stream.range(1.0, shape.stretch).sqrt(),
                angle: stream.range(0.0, PI),
                harmonics: (0..shape.harmonics)
                    .map(|_| (amplitude * stream.range(-1.4, 1.4), stream.range(0.0, TAU)))
                    .collect(),
                shade: stream.normal(),
            }
        })
        .collect()
}

impl Blob {
    /// Its centre.
    pub(super) fn centre(&self) -> (f64, f64) {
        (self.x, self.y)
    }

    /// Calls `visit(pixel index, depth)` for the pixels within `margin` of the blob; depth is the distance to the
    /// outline in pixels (roughly), positive inside.
    pub(super) fn visit(&self, size: usize, margin: f64, mut visit: impl FnMut(usize, f64)) {
        let rough: f64 = self.harmonics.iter().map(|(amplitude, _)| amplitude.abs()).sum();
        let reach = self.radius * self.stretch * (1.0 + rough) + margin;
        let bounds = |centre: f64| {
            let clamp = |v: f64| v.clamp(0.0, size as f64) as usize;
            clamp(centre - reach)..clamp(centre + reach + 1.0)
        };
        let (sin, cos) = self.angle.sin_cos();
        for y in bounds(self.y) {
            for x in bounds(self.x) {
                let (dx, dy) = (x as f64 - self.x, y as f64 - self.y);
                let (u, v) = ((dx * cos + dy * sin) / self.stretch, (dy * cos - dx * sin) * self.stretch);
                let angle = v.atan2(u);
                let wave =
                    |(k, (amplitude, phase)): (usize, &(f64, f64))| amplitude * ((k + 2) as f64 * angle + phase).cos();
                let outline = self.radius * (1.0 + self.harmonics.iter().enumerate().map(wave).sum::<f64>());
                let depth = outline - u.hypot(v);
                if depth > -margin {
                    visit(y * size + x, depth);
                }
            }
        }
    }
}
