//! The search for leaks among images.

use super::band::{Grey, WIDE};
use super::confirm::{Confirmed, confirm};
use super::fingerprint::Fingerprint;
use super::leak::{Kind, Leak};
use super::sample::Sample;
use super::vote::displacements;
use crate::DataError;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Version of the search: it goes up when the same images would give other leaks. Stored leaks of other versions are not
/// used.
pub const CODE_VERSION: u32 = 1;
/// Lowest score of a leak: the median correlation of blocks. Blocks of unrelated images have at most 0.2.
const MIN_SCORE: f64 = 0.5;
/// An overlap of at least this share of an image counts as the complete image.
const COMPLETE: f64 = 0.98;

/// Compares the images `(scored, trained)` for which `pairs` is true. `progress(done, total)` counts the images that were
/// read, and then the scored images that were compared with all others. When it returns false, the search stops.
///
/// Leaks are sorted by scored, then by trained image; of several overlaps of two images the largest is returned. `None` if
/// `progress` stopped the search.
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
    let count_one = || {
        if !progress(done.fetch_add(1, Ordering::Relaxed) + 1, total) {
            stopped.store(true, Ordering::Relaxed);
        }
    };
    let continues = || !stopped.load(Ordering::Relaxed);
    let read: Vec<Result<Option<Fingerprint>, DataError>> = samples
        .par_iter()
        .zip(&involved)
        .map(|(sample, involved)| {
            if !involved || !continues() {
                return Ok(None);
            }
            let fingerprint = Fingerprint::of(&sample.read()?);
            count_one();
            Ok(Some(fingerprint))
        })
        .collect();
    let (mut fingerprints, mut errors) = (Vec::with_capacity(read.len()), Vec::new());
    for one in read {
        match one {
            Ok(one) => fingerprints.push(one),
            Err(error) => errors.push(error),
        }
    }
    DataError::check_all(errors)?;
    let compare = |(scored, trained): &(usize, Vec<usize>)| {
        if !continues() {
            return Ok(Vec::new());
        }
        let leaks = leaks_of(samples, &fingerprints, *scored, trained);
        count_one();
        leaks
    };
    let found: Vec<Result<Vec<Leak>, DataError>> = by_scored.par_iter().map(compare).collect();
    let mut leaks = Vec::new();
    for some in found {
        leaks.extend(some?);
    }
    Ok(continues().then_some(leaks))
}

fn by_scored(pairs: &[(usize, usize)]) -> Vec<(usize, Vec<usize>)> {
    let mut map: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &(scored, trained) in pairs {
        map.entry(scored).or_default().push(trained);
    }
    map.into_iter().collect()
}

/// All leaks of one scored image. Images are read again only if a leak is likely.
fn leaks_of(
    samples: &[Sample<'_>],
    fingerprints: &[Option<Fingerprint>],
    scored: usize,
    trained: &[usize],
) -> Result<Vec<Leak>, DataError> {
    let Some(own) = &fingerprints[scored] else { return Ok(Vec::new()) };
    let grey = |i: usize| Ok::<_, DataError>(Grey::of(&samples[i].read()?));
    let mut own_grey = None;
    let mut leaks = Vec::new();
    for &other in trained {
        let Some(others) = &fingerprints[other] else { continue };
        if own.pixels == others.pixels {
            leaks.push(Leak::same(scored, other, own.size));
            continue;
        }
        let candidates = displacements(&own.tiles, &others.tiles, others.size);
        if candidates.is_empty() {
            continue;
        }
        if own_grey.is_none() {
            own_grey = Some(grey(scored)?.band(WIDE));
        }
        let Some(own_band) = &own_grey else { continue };
        let other_grey = grey(other)?.band(WIDE);
        let confirmed = candidates.iter().filter_map(|candidate| confirm(own_band, &other_grey, candidate));
        let best = confirmed.filter(|found| found.score >= MIN_SCORE).reduce(|best, next| {
            let area = |found: &Confirmed| found.overlap.0 * found.overlap.1;
            if (area(&next), next.score) > (area(&best), best.score) { next } else { best }
        });
        let Some(found) = best else { continue };
        let area = (found.overlap.0 * found.overlap.1) as f64;
        let part = |size: (usize, usize)| area / (size.0 * size.1) as f64;
        let kind = match (part(own.size) >= COMPLETE, part(others.size) >= COMPLETE) {
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
