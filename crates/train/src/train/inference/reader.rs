//! Batches of tiles from an image's rows.

use super::settings::Settings;
use crate::train::batches::Batches;
use anyhow::Result;
use matssl_data::Rows;
use matssl_data::tiles::{Strip, TileBatch, Tiling};
use matssl_tensor::Images;
use std::sync::mpsc::SyncSender;

/// Cuts the tiles of `image`, and sends them in batches, which go on from one row of tiles to the next: of each batch one
/// copy for each symmetry. Ends early when nobody receives.
pub(super) fn read(
    tiling: &Tiling,
    image: &mut dyn Rows,
    settings: &Settings,
    batches: &Batches,
    sender: &SyncSender<Result<Images>>,
) {
    let channels = image.channels();
    let mut strip = Strip::new(image);
    let mut next = 0;
    while next < tiling.corners.len() {
        let end = (next + settings.batch.max(1)).min(tiling.corners.len());
        let tiles = cut(tiling, &mut strip, channels, next..end);
        for &symmetry in settings.symmetries {
            let images = match &tiles {
                Ok(tiles) => batches.tiles(&tiles.turned(symmetry)),
                Err(_) => break,
            };
            if sender.send(images).is_err() {
                return;
            }
        }
        if let Err(error) = tiles {
            let _ = sender.send(Err(error));
            return;
        }
        next = end;
    }
}

fn cut(tiling: &Tiling, strip: &mut Strip<'_>, channels: usize, tiles: std::ops::Range<usize>) -> Result<TileBatch> {
    let mut batch = TileBatch::new(tiling.tile, channels);
    for i in tiles {
        strip.hold(tiling.rows(i))?;
        batch.push(tiling, i, strip.rows(), strip.first());
    }
    Ok(batch)
}
