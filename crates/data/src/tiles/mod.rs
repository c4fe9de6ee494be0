//! Images larger than the network's input: overlapping tiles, cut from the image's rows, and one map of probabilities from
//! the tiles' outputs, from top to bottom.

mod rows_in_memory;
mod stitch;
mod strip;
mod tile_batch;
mod tiling;

pub use rows_in_memory::RowsInMemory;
pub use stitch::{Stitch, Stitched};
pub use strip::Strip;
pub use tile_batch::TileBatch;
pub use tiling::Tiling;
