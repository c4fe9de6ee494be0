//! Leaks: micrographs that an experiment both trains on and scores on, completely or in part.
//!
//! A hash of a whole image misses crops, and tiles of a fixed grid miss crops whose offset is no multiple of the grid. So
//! tiles are placed by the image's content: around its landmarks, the extremes of a band-passed image, which a crop of the
//! image has, too. Each tile is hashed by the signs of its low cosine frequencies (a perceptual hash), at two sizes. Tiles of
//! two images whose hashes are close vote for a displacement. Where enough votes agree, the displaced images are correlated
//! block by block at full resolution, and the correlation decides.
//!
//! **Found**: the same pixels; copies with another brightness, contrast or compression; crops; fields of view that overlap;
//! all of these mirrored or turned by 90°. **Not found**: copies at another scale (1 % is found, 3 % hardly ever) or turned
//! by other angles, overlaps of less than 64 pixels a side, images without structure (unless their pixels are the same), two
//! scans of one place by different detectors.
//!
//! Test: random square crops of 30 real micrographs (20 of MetalDAM, 10 of EBC-2, about 1 Mpx each), as jpg of quality 90, or
//! darkened and of quality 50. All 30 were found with their position at a side of 256 pixels and more, 28 and 29 at 192, 11
//! and 12 at 128, 4 at 96. At 256 all were also found at quality 30 with half the contrast, and under noise of σ = 25. The only
//! other pair that was named is one of two micrographs that do overlap.
//!
//! Images are compared at the size of their files, without the info band. So a data set that is resized when it is read gives
//! the same leaks as at full size.
//!
//! All sums are exact or in a fixed order: the same images give the same leaks for any number of threads.

mod band;
mod confirm;
mod find;
mod fingerprint;
mod landmark;
mod leak;
mod pair;
mod region;
mod sample;
#[cfg(test)]
mod tests;
mod thumbnail;
mod vote;

pub use crate::symmetry::Symmetry;
pub use find::{CODE_VERSION, find};
pub use leak::{Kind, Leak};
pub use pair::{Pair, PairImage};
pub use region::Region;
pub use sample::Sample;
pub use thumbnail::thumbnail;
