//! Pores, which any structure may have.

use super::blobs::{Shape, scatter};
use super::drawing::Drawing;
use super::scale::Scale;
use matssl_base::random::Stream;

/// Dark pores with bright rims, which many electrons leave. The rim is drawn around the pore, over what is there. They cover
/// about `share` of the picture and get the class `label`.
pub(super) fn pores(scale: &Scale, share: f64, label: u8, stream: &mut Stream, drawing: &mut Drawing) {
    let shape = Shape { radius: [0.07 * scale.grain, 0.28 * scale.grain], stretch: 1.5, roughness: 0.16, harmonics: 3 };
    let share = share * stream.range(0.6, 1.4);
    let blobs = scatter(scale.size, share, &shape, stream, |x, y, _| (x, y));
    for blob in &blobs {
        blob.visit(scale.size, 4.0, |i, depth| {
            if depth <= 0.0 {
                drawing.grey[i] += 45.0 * (-((depth + 0.5) / 1.5).powi(2)).exp();
            }
        });
    }
    for blob in &blobs {
        blob.visit(scale.size, 0.0, |i, depth| {
            // Deeper parts are darker.
            drawing.grey[i] = 62.0 + 8.0 * blob.shade - 30.0 * (1.0 - (-depth / 3.0).exp());
            drawing.labels[i] = label;
        });
    }
}
