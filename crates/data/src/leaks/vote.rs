//! The displacements that the alike tiles of two images agree on.

use super::landmark::Tile;
use crate::symmetry::Symmetry;
use matssl_base::machine::vectorized;

/// Largest number of the 63 bits in which two alike tiles may differ. By chance 2 of 10⁸ pairs of tiles are alike.
const MAX_BITS: u32 = 10;
/// Smallest number of alike tiles that must agree on a displacement.
const MIN_VOTES: usize = 3;
/// Largest distance in pixels, in each direction, of two votes for the same displacement.
const TOLERANCE: i64 = 4;
/// Number of displacements of a pair that are confirmed, those with the most votes.
const CONFIRMED: usize = 4;
/// Largest number of alike tiles that are counted: more come from a pattern that repeats.
const MAX_ALIKE: usize = 4096;

/// A possible position `offset` of the trained image, after `symmetry`, on the scored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Displacement {
    pub(super) symmetry: Symmetry,
    pub(super) offset: (i64, i64),
    pub(super) votes: usize,
}

/// The most likely displacements; `size` is that of the trained image.
pub(super) fn displacements(scored: &[Tile], trained: &[Tile], size: (usize, usize)) -> Vec<Displacement> {
    let mut found = Vec::new();
    for symmetry in Symmetry::ALL {
        let votes = votes(scored, trained, size, symmetry);
        let mut taken = vec![false; votes.len()];
        // The best of the remaining votes, until too few agree.
        while let Some((centre, members)) = best(&votes, &taken) {
            found.push(Displacement { symmetry, offset: centre, votes: members.len() });
            members.into_iter().for_each(|member| taken[member] = true);
            if found.len() >= 8 * CONFIRMED {
                break;
            }
        }
    }
    // The sort is stable: displacements with equal votes keep their order.
    found.sort_by_key(|displacement| std::cmp::Reverse(displacement.votes));
    found.truncate(CONFIRMED);
    found
}

fn votes(scored: &[Tile], trained: &[Tile], size: (usize, usize), symmetry: Symmetry) -> Vec<(i64, i64)> {
    let mut votes = Vec::new();
    let hashes: Vec<u64> = trained.iter().map(|tile| tile.hash_after(symmetry)).collect();
    let mut bits = vec![0u32; hashes.len()];
    for tile in scored {
        // Tiles of one level are next to each other.
        let start = trained.partition_point(|other| other.level < tile.level);
        let end = trained.partition_point(|other| other.level <= tile.level);
        let (bits, hashes) = (&mut bits[start..end], &hashes[start..end]);
        let mut fewest = u32::MAX;
        vectorized(
            #[inline(always)]
            || {
                fewest = u32::MAX;
                for (bits, other) in bits.iter_mut().zip(hashes) {
                    *bits = (tile.hash ^ other).count_ones();
                    fewest = fewest.min(*bits);
                }
            },
        );
        if fewest > MAX_BITS {
            continue;
        }
        for (i, _) in bits.iter().enumerate().filter(|(_, bits)| **bits <= MAX_BITS) {
            let (x, y) = symmetry.apply_to_pixel(trained[start + i].centre, size);
            votes.push((tile.centre.0 as i64 - x as i64, tile.centre.1 as i64 - y as i64));
            if votes.len() == MAX_ALIKE {
                return votes;
            }
        }
    }
    votes
}

/// The vote that most others agree with, and those others; `None` if they are too few.
fn best(votes: &[(i64, i64)], taken: &[bool]) -> Option<((i64, i64), Vec<usize>)> {
    let free: Vec<usize> = (0..votes.len()).filter(|&i| !taken[i]).collect();
    if free.len() < MIN_VOTES {
        return None;
    }
    let agree = |a: usize, b: usize| {
        (votes[a].0 - votes[b].0).abs() <= TOLERANCE && (votes[a].1 - votes[b].1).abs() <= TOLERANCE
    };
    let count = |&centre: &usize| free.iter().filter(|&&other| agree(centre, other)).count();
    // Of equal counts the first is taken, so that the result is unique.
    let (centre, most) = free.iter().fold((0, 0), |best, centre| {
        let count = count(centre);
        if count > best.1 { (*centre, count) } else { best }
    });
    let members = || free.iter().copied().filter(|&other| agree(centre, other)).collect();
    (most >= MIN_VOTES).then(|| (votes[centre], members()))
}
