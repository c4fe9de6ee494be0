//! From the networks' outputs to finished rows.

use super::finished::Finished;
use super::passes::{Mean, Passes, softmax};
use super::settings::Settings;
use anyhow::{Result, ensure};
use matssl_data::tiles::{Stitch, Tiling};
use rayon::prelude::*;
use std::sync::mpsc::Receiver;

/// Maximum number of probabilities that are handed out at once: 16 MiB.
pub(super) const BAND: usize = 1 << 22;

/// Blends the outputs of `receiver` (logits `[tiles, side, side, classes]`, of each batch one for each symmetry and network)
/// and hands finished rows to `take`. Returns the number of tiles that were blended, which are not all if the sender
/// ended early.
pub(super) fn stitch(
    tiling: &Tiling,
    settings: &Settings,
    (networks, classes): (usize, usize),
    receiver: &Receiver<Vec<f32>>,
    take: &mut dyn FnMut(Finished) -> Result<()>,
) -> Result<usize> {
    let tile = tiling.tile * tiling.tile;
    let most = (BAND / (tiling.width * classes)).max(1);
    let mut passes = Passes::new(networks, tiling.tile, classes);
    let mut probabilities = Stitch::new(tiling, classes);
    let mut disagreement = (networks > 1).then(|| Stitch::new(tiling, 1));
    let mut symmetries =
        settings.symmetries.iter().flat_map(|symmetry| std::iter::repeat_n(*symmetry, networks)).cycle();
    while let (Ok(mut values), Some(symmetry)) = (receiver.recv(), symmetries.next()) {
        softmax(&mut values, classes);
        ensure!(
            values.par_iter().with_min_len(1 << 14).all(|p| p.is_finite()),
            "the network's output is not finite: the training has diverged, or its weights are damaged"
        );
        passes.add(values, symmetry);
        let Some(Mean { probabilities: mean, disagreement: mutual }) = passes.mean(settings.symmetries.len()) else {
            continue;
        };
        for (i, mean) in mean.chunks_exact(tile * classes).enumerate() {
            probabilities.add(mean);
            if let (Some(disagreement), Some(mutual)) = (&mut disagreement, &mutual) {
                disagreement.add(&mutual[i * tile..(i + 1) * tile]);
            }
            while probabilities.finished() > 0 {
                let disagreement = disagreement.as_mut().map(|disagreement| disagreement.take(most).probabilities);
                take(Finished { rows: probabilities.take(most), disagreement })?;
            }
        }
    }
    Ok(probabilities.added())
}
