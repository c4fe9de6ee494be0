//! Which algorithm computes a convolution on a CPU.

use super::geometry::Geometry;
use super::source::Joined;
use super::tapwise;
use super::winograd::{self, two_by_two};

/// The algorithms. The choice depends on sizes only, so that it is the same for any number of threads.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    /// Winograd's for images of 2×2 pixels.
    Winograd2x2,
    /// Winograd's F(2×2, 3×3).
    Winograd,
    /// A product for each tap of the kernel.
    Tapwise,
    /// Tiles of unfolded input (im2col) times the weight.
    Unfolded,
}

/// Share of the definition's products that Winograd's F(2×2, 3×3) needs.
const WINOGRAD_PRODUCTS: f64 = 16.0 / 36.0;
/// Share of the taps inside the image up to which going tap by tap is faster than unfolding.
const TAPWISE_LIMIT: f64 = 0.75;

impl Algorithm {
    /// The fastest for these sizes.
    pub(super) fn choose(geometry: &Geometry, inputs: &[Joined]) -> Self {
        let Geometry { batch, size, kernel, padding, stride, dilation, channels_out, .. } = *geometry;
        let channels = inputs.iter().map(|input| input.tensor.dims().last().copied().unwrap_or_default());
        let size = [batch, size[0], size[1]];
        let is_usual = (kernel, padding, stride, dilation) == ([3, 3], [1, 1], 1, 1);
        if is_usual && two_by_two::is_faster(size, [geometry.channels_in, channels_out]) {
            return Algorithm::Winograd2x2;
        }
        let winograd = is_usual && winograd::is_faster(size, channels, channels_out);
        match tapwise::share_inside(geometry) {
            Some(share) if share <= if winograd { WINOGRAD_PRODUCTS } else { TAPWISE_LIMIT } => Algorithm::Tapwise,
            _ if winograd => Algorithm::Winograd,
            _ => Algorithm::Unfolded,
        }
    }
}
