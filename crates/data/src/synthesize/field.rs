//! Smooth random fields.

use matssl_base::random::Stream;

/// A smooth random field: normal values on a square lattice, interpolated. Its mean is about zero, its variance at the nodes 1.
pub(super) struct Field {
    nodes: Vec<f64>,
    across: usize,
    spacing: f64,
}

impl Field {
    /// A field over `size` × `size` pixels with a node every `spacing` pixels.
    pub(super) fn new(size: usize, spacing: f64, stream: &mut Stream) -> Self {
        let across = (size as f64 / spacing).ceil() as usize + 2;
        Field { nodes: (0..across * across).map(|_| stream.normal()).collect(), across, spacing }
    }

    /// The value at a point; points outside take the value at the border.
    pub(super) fn at(&self, x: f64, y: f64) -> f64 {
        let node = |v: f64| {
            let v = (v / self.spacing).clamp(0.0, (self.across - 2) as f64);
            let t = v.fract();
            (v as usize, t * t * (3.0 - 2.0 * t))
        };
        let ((i, s), (j, t)) = (node(x), node(y));
        let row = |j: usize| {
            let at = j * self.across + i;
            self.nodes[at] * (1.0 - s) + self.nodes[at + 1] * s
        };
        row(j) * (1.0 - t) + row(j + 1) * t
    }
}
