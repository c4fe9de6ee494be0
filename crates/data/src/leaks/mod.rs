//! Leaks: micrographs that lie on both sides of an experiment, one trained on and one scored on, whole or in part.
//!
//! A hash of a whole image misses crops, and tiles of a fixed grid miss crops whose place is no multiple of the grid.
//! So tiles are laid where the image itself says: around its [`landmarks`](landmark), extremes of a band-passed image,
//! which a crop of it has, too. Each tile is hashed by the signs of its low cosine frequencies (what is called a
//! perceptual hash), at two sizes. Tiles of two images whose hashes are close vote for a displacement; where enough
//! agree, the displaced images are correlated block by block at full resolution, and that decides.
//!
//! **Found**: the same pixels; copies whose brightness, contrast or compression changed; crops; fields of view that
//! overlap; all of that mirrored or turned by 90°. **Not found**: copies at another scale (1 % is found, 3 % hardly ever)
//! or turned by other angles, overlaps of less than [`MIN_OVERLAP`] pixels a side, images without structure (unless
//! their pixels are the same), two scans of one place by different detectors.
//!
//! Of random square crops of 30 real micrographs (20 of MetalDAM, 10 of EBC-2, about 1 Mpx each), as jpg of quality 90 or
//! darkened and of quality 50, all 30 were found where they lie at a side of 256 pixels and more, 28 and 29 at 192, 11 and 12
//! at 128, 4 at 96; at 256 all were also found at quality 30 with half the contrast, and under noise of σ = 25. No other
//! pair was named but one of two micrographs that do overlap.
//!
//! Images are compared as they were taken, at the size they have in their files without the info band: a data set that is
//! resized when it is read leaks as the same data set at full size does.
//!
//! Everything is exact or in a fixed order: the same images give the same leaks for any number of threads.

mod band;
mod confirm;
mod landmark;
mod pair;
mod region;
mod symmetry;
#[cfg(test)]
mod tests;
mod thumbnail;
mod vote;

pub use pair::{Pair, PairImage};
pub use region::Region;
pub use symmetry::Symmetry;
pub use thumbnail::thumbnail;

use super::{DataError, Entry, Micrograph, OpenDataset};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Goes up when the same images would give other leaks: what was kept of them then counts no more.
pub const CODE_VERSION: u32 = 1;
/// Two images must share at least so many pixels a side.
pub const MIN_OVERLAP: usize = 64;
/// A pair is a leak from this score on: the median correlation of blocks. Blocks of unrelated images lie within 0.2.
pub const MIN_SCORE: f64 = 0.5;
/// Tiles are alike if at most so many of their 63 bits differ. By chance that happens to 2 of 10⁸ pairs.
pub const MAX_BITS: u32 = 10;
/// So many alike tiles must agree on a displacement before it is looked at.
pub const MIN_VOTES: usize = 3;
/// An overlap of this part of an image counts as all of it.
const WHOLE: f64 = 0.98;

/// An image to compare.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// Its data set.
    pub dataset: &'a OpenDataset,
    /// Which image of it.
    pub entry: &'a Entry,
}

/// What two images have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every pixel, after the info band is cut.
    Same,
    /// The whole field of view; pixels differ.
    NearDuplicate,
    /// One is a part of the other.
    Crop,
    /// Each shows something that the other does not.
    Overlap,
}

impl Kind {
    /// `same pixels`, `near-duplicate`, `crop`, `overlap`.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Same => "same pixels",
            Kind::NearDuplicate => "near-duplicate",
            Kind::Crop => "crop",
            Kind::Overlap => "overlap",
        }
    }
}

/// A scored image, or a part of it, that was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Index of the scored image among those given.
    #[serde(skip)]
    pub scored: usize,
    /// Index of the other.
    #[serde(skip)]
    pub trained: usize,
    /// What they have in common.
    pub kind: Kind,
    /// What must be done to the trained image before it lies on the scored one.
    pub symmetry: Symmetry,
    /// Column and row of the scored image where the left top of the trained one comes to lie (negative: outside).
    pub offset: (i64, i64),
    /// Pixels across and down that they share.
    pub overlap: (usize, usize),
    /// The part of the scored image that was trained on.
    pub share: f64,
    /// Median over blocks of the normalised cross-correlation of the band-passed images; 1 for the same pixels.
    pub score: f64,
}

impl Sample<'_> {
    /// The image as it was taken: without its info band, not resized.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read.
    pub fn read(&self) -> Result<Micrograph, DataError> {
        match self.entry.resized_from {
            None => self.dataset.read_image(self.entry),
            Some((width, height)) => {
                self.dataset.read_image(&Entry { width, height, resized_from: None, ..self.entry.clone() })
            }
        }
    }
}

impl Leak {
    /// An image that is itself on both sides, or whose very pixels are.
    pub fn same(scored: usize, trained: usize, size: (usize, usize)) -> Leak {
        Leak {
            scored,
            trained,
            kind: Kind::Same,
            symmetry: Symmetry::Identity,
            offset: (0, 0),
            overlap: size,
            share: 1.0,
            score: 1.0,
        }
    }
}

/// Compares images `(scored, trained)` for which `pairs` is true. `progress(done, total)` counts images read, and then
/// images compared with all that they are to be compared with; once it says false, nothing more is looked at.
///
/// Leaks come sorted by scored, then by trained image; for two images the one with the largest overlap. `None` if
/// `progress` stopped it.
///
/// # Errors
/// [`DataError`] if an image cannot be read.
pub fn find(
    samples: &[Sample<'_>],
    pairs: &(dyn Fn(usize, usize) -> bool + Sync),
    progress: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<Option<Vec<Leak>>, DataError> {
    let wanted: Vec<(usize, usize)> = (0..samples.len())
        .flat_map(|scored| (0..samples.len()).map(move |trained| (scored, trained)))
        .filter(|&(scored, trained)| scored != trained && pairs(scored, trained))
        .collect();
    let mut involved = vec![false; samples.len()];
    for &(scored, trained) in &wanted {
        involved[scored] = true;
        involved[trained] = true;
    }
    let by_scored = by_scored(&wanted);
    let (done, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let total = involved.iter().filter(|involved| **involved).count() + by_scored.len();
    let one_more = || {
        if !progress(done.fetch_add(1, Ordering::Relaxed) + 1, total) {
            stopped.store(true, Ordering::Relaxed);
        }
    };
    let goes_on = || !stopped.load(Ordering::Relaxed);
    let read: Vec<Result<Option<Seen>, DataError>> = samples
        .par_iter()
        .zip(&involved)
        .map(|(sample, involved)| {
            if !involved || !goes_on() {
                return Ok(None);
            }
            let seen = Seen::of(&sample.read()?);
            one_more();
            Ok(Some(seen))
        })
        .collect();
    let (mut seen, mut errors) = (Vec::with_capacity(read.len()), Vec::new());
    for one in read {
        match one {
            Ok(one) => seen.push(one),
            Err(error) => errors.push(error),
        }
    }
    DataError::check_all(errors)?;
    let compare = |(scored, trained): &(usize, Vec<usize>)| {
        if !goes_on() {
            return Ok(Vec::new());
        }
        let leaks = of_one(samples, &seen, *scored, trained);
        one_more();
        leaks
    };
    let found: Vec<Result<Vec<Leak>, DataError>> = by_scored.par_iter().map(compare).collect();
    let mut leaks = Vec::new();
    for some in found {
        leaks.extend(some?);
    }
    Ok(goes_on().then_some(leaks))
}

/// What is kept of an image while all are compared.
struct Seen {
    size: (usize, usize),
    pixels: blake3::Hash,
    tiles: Vec<landmark::Tile>,
}

impl Seen {
    fn of(image: &Micrograph) -> Seen {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(image.width as u64).to_le_bytes()).update(&(image.channels as u64).to_le_bytes());
        let pixels = hasher.update(&image.pixels).finalize();
        let tiles = landmark::tiles(&band::Grey::of(image));
        Seen { size: (image.width, image.height), pixels, tiles }
    }
}

fn by_scored(pairs: &[(usize, usize)]) -> Vec<(usize, Vec<usize>)> {
    let mut map: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &(scored, trained) in pairs {
        map.entry(scored).or_default().push(trained);
    }
    map.into_iter().collect()
}

/// All leaks of one scored image; it is read again only if one is likely.
fn of_one(
    samples: &[Sample<'_>],
    seen: &[Option<Seen>],
    scored: usize,
    trained: &[usize],
) -> Result<Vec<Leak>, DataError> {
    let Some(own) = &seen[scored] else { return Ok(Vec::new()) };
    let grey = |i: usize| Ok::<_, DataError>(band::Grey::of(&samples[i].read()?));
    let mut own_grey = None;
    let mut leaks = Vec::new();
    for &other in trained {
        let Some(others) = &seen[other] else { continue };
        if own.pixels == others.pixels {
            leaks.push(Leak::same(scored, other, own.size));
            continue;
        }
        let candidates = vote::displacements(&own.tiles, &others.tiles, others.size);
        if candidates.is_empty() {
            continue;
        }
        if own_grey.is_none() {
            own_grey = Some(grey(scored)?.band(band::WIDE));
        }
        let Some(own_band) = &own_grey else { continue };
        let other_grey = grey(other)?.band(band::WIDE);
        let confirmed = candidates.iter().filter_map(|candidate| confirm::confirm(own_band, &other_grey, candidate));
        let best = confirmed.filter(|found| found.score >= MIN_SCORE).reduce(|best, next| {
            let area = |found: &confirm::Confirmed| found.overlap.0 * found.overlap.1;
            if (area(&next), next.score) > (area(&best), best.score) { next } else { best }
        });
        let Some(found) = best else { continue };
        let area = (found.overlap.0 * found.overlap.1) as f64;
        let part = |size: (usize, usize)| area / (size.0 * size.1) as f64;
        let kind = match (part(own.size) >= WHOLE, part(others.size) >= WHOLE) {
            (true, true) => Kind::NearDuplicate,
            (false, false) => Kind::Overlap,
            _ => Kind::Crop,
        };
        leaks.push(Leak {
            scored,
            trained: other,
            kind,
            symmetry: found.symmetry,
            offset: found.offset,
            overlap: found.overlap,
            share: part(own.size),
            score: found.score,
        });
    }
    Ok(leaks)
}
