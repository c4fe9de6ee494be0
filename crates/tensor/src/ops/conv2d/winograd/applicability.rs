//! When Winograd's algorithm is used.

use super::lanes::LANES;

/// Below this number of tiles transforming the kernel takes longer than the saved products.
const FEWEST_TILES: usize = 64;

/// Whether Winograd applies to a 3×3 convolution at stride 1 and is faster: `size` is batch, height and width; `inputs` and `out`
/// are channels.
pub(in super::super) fn is_faster(
    [batch, height, width]: [usize; 3],
    inputs: impl IntoIterator<Item = usize>,
    out: usize,
) -> bool {
    let tiles = batch * height.div_ceil(2) * width.div_ceil(2);
    out >= LANES && tiles >= FEWEST_TILES && inputs.into_iter().all(|channels| channels >= LANES)
}
