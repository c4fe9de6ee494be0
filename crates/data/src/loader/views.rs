//! Batches of views, for pretraining.

use super::chunks::in_chunks;
use crate::augment::{Pixel, Recipe, Scratch, ViewParams, filled_vec};
use crate::patches::Patches;
use matssl_base::random::Stream;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Two views of each of the patches `indices` for a network of `in_channels`: `[batch, size, size, in_channels]` each,
/// normalised.
///
/// View `v` of patch `i` in `epoch` is a pure function of (seed, epoch, i, v).
///
/// # Panics
/// If the patches do not fit the network ([`fits`](crate::fits)).
pub fn view_batch(
    patches: &Patches,
    indices: &[usize],
    params: &ViewParams,
    (seed, epoch): (u64, u64),
    in_channels: usize,
) -> [Vec<f32>; 2] {
    let (batch, each) = (indices.len(), params.size * params.size * in_channels);
    let make = |out: [&mut [MaybeUninit<f32>]; 2]| {
        make_views(patches, indices, params, (seed, epoch), out, |view, out| view.normalize(in_channels, out));
    };
    // SAFETY: `normalize` writes each view, and the vectors hold nothing but views.
    let (first, (second, ())) =
        unsafe { filled_vec(batch * each, |first| filled_vec(batch * each, |second| make([first, second]))) };
    [first, second]
}

/// The same views, of grey and RGB patches, before they are normalised, in `channels` channels ([`Patches::channels`] or 3), for a GPU. Writes all
/// of both `out`.
///
/// # Panics
/// If one of `out` has another length than its views.
pub fn view_pixels<P: Pixel>(
    patches: &Patches,
    indices: &[usize],
    params: &ViewParams,
    (seed, epoch): (u64, u64),
    channels: usize,
    out: [&mut [P]; 2],
) {
    make_views(patches, indices, params, (seed, epoch), out, |view, out| P::write(view, channels, out));
}

fn make_views<T: Send>(
    patches: &Patches,
    indices: &[usize],
    params: &ViewParams,
    (seed, epoch): (u64, u64),
    out: [&mut [T]; 2],
    write: impl Fn(&Scratch, &mut [T]) + Sync,
) {
    let [first, second] = out.map(|views| in_chunks(views, indices.len()));
    first.zip_eq(second).zip_eq(indices).for_each_init(Scratch::default, |scratch, ((first, second), &i)| {
        let patch = patches.get(i);
        let stream = Stream::new(seed, "views", epoch, i as u64);
        for (which, out) in [(0, first), (1, second)] {
            let recipe = Recipe::draw(params, patch.size, patch.size, &mut stream.child(which));
            recipe.make(patch.pixels, patch.size, patch.channels, scratch);
            write(scratch, out);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patches::{Edge, PatchParams, Use, cut};
    use crate::synthesize::{SynthesizeParams, synthesize};
    use crate::{OpenDataset, Root};

    fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn batches_have_the_same_bits_for_any_number_of_threads() {
        let out = tempfile::tempdir().unwrap();
        let params = SynthesizeParams { size: 64, unlabeled: 2, train: 0, val: 0, test: 0, ..Default::default() };
        let manifest = synthesize(&params, out.path(), &|_, _| {}).unwrap();
        let dataset = OpenDataset::new(manifest, Root::Folder(out.path().into()));
        let params = PatchParams { size: 32, overlap: 0.5, edge: Edge::Drop, from: Use::Unlabeled };
        assert_eq!(cut(&dataset, &params, out.path(), &mut |_, _| {}).unwrap(), 18);
        let patches = Patches::open(&out.path().join(Patches::FILE)).unwrap();
        let views = ViewParams { size: 24, ..Default::default() };
        let batch = |threads, seed, epoch| {
            let made = in_pool(threads, || view_batch(&patches, &[7, 0, 17, 3], &views, (seed, epoch), 3));
            assert!(made.iter().all(|view| view.len() == 4 * 24 * 24 * 3));
            made
        };
        let first = batch(1, 0, 0);
        assert_ne!(first[0], first[1]);
        assert_eq!(first, batch(2, 0, 0));
        assert_eq!(first, batch(5, 0, 0));
        assert_ne!(first, batch(1, 1, 0));
        assert_ne!(first, batch(1, 0, 1));
    }
}
