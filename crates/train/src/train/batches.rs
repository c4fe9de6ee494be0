//! Makes batches for a network: normalised in CPU memory, or normalised on a GPU after the copy.

use anyhow::Result;
use candle_core::{Device, Tensor};
use matssl_data::augment::{FinetuneAugment, ViewParams};
use matssl_data::loader::{Masks, PairBatch, RareCrops, pair_batch, pair_pixels, view_batch, view_pixels};
use matssl_data::patches::Patches;
use matssl_data::tiles::TileBatch;
use matssl_data::{Mask, Micrograph, RGB};
use matssl_tensor::{Feeder, Images, feeder};
use std::sync::Arc;

/// Makes batches for one network.
pub struct Batches {
    /// For a GPU: its page-locked buffers and copy stream. It normalises red, green and blue only: batches of other numbers of
    /// channels are normalised on the CPU, and copied when the network takes them.
    feeder: Option<Arc<Feeder>>,
    in_channels: usize,
}

impl Batches {
    /// Makes batches for a network on `device` with `in_channels` input channels, which all images fit
    /// ([`fits`](matssl_data::fits)).
    ///
    /// # Errors
    /// If a GPU has not enough memory for the buffers.
    pub fn on(device: &Device, in_channels: usize) -> Result<Self> {
        let feeder = if in_channels == RGB { feeder(device)? } else { None };
        Ok(Batches { feeder, in_channels })
    }

    /// Images `[batch, height, width, channels]` and masks u8 `[batch, height, width]` of the samples `drawn` ((epoch,
    /// index) each), some of which hold a pixel of a rare class if there is `rare`. The masks are on the CPU, where the losses read them. Images have `channels` channels if a
    /// GPU normalises them, else those of the network.
    ///
    /// # Errors
    /// If the samples have different sizes, or there is not enough memory for them.
    pub fn pairs(
        &self,
        samples: &[(Micrograph, Mask)],
        drawn: &[(u64, usize)],
        (augment, rare): (&FinetuneAugment, Option<&RareCrops>),
        seed: u64,
        (size, channels): (usize, usize),
    ) -> Result<(Images, Tensor)> {
        let Some(feeder) = &self.feeder else {
            let PairBatch { images, masks } = pair_batch(samples, drawn, augment, rare, seed, self.in_channels)?;
            let [batch, height, width] = masks.shape;
            let images = Tensor::from_vec(images, (batch, height, width, self.in_channels), &Device::Cpu)?;
            return Ok((Images::Ready(images), mask_tensor(masks)?));
        };
        let shape = [drawn.len(), size, size, channels];
        let (room, masks) = if augment.keeps_values() {
            let mut room = feeder.bytes(shape)?;
            let masks = pair_pixels(samples, drawn, augment, rare, seed, channels, room.bytes_mut()?)?;
            (room, masks)
        } else {
            let mut room = feeder.planes(shape)?;
            let masks = pair_pixels(samples, drawn, augment, rare, seed, channels, room.planes_mut()?)?;
            (room, masks)
        };
        Ok((Images::Sent(room.send()?), mask_tensor(masks)?))
    }

    /// Two views `[batch, size, size, channels]` of each of the patches `indices`.
    ///
    /// # Errors
    /// If there is not enough memory for them.
    pub fn views(
        &self,
        patches: &Patches,
        indices: &[usize],
        views: &ViewParams,
        seed: u64,
        epoch: u64,
    ) -> Result<[Images; 2]> {
        let (batch, size) = (indices.len(), views.size);
        let Some(feeder) = &self.feeder else {
            let [first, second] = view_batch(patches, indices, views, (seed, epoch), self.in_channels);
            let shape = (batch, size, size, self.in_channels);
            let ready = |values| Tensor::from_vec(values, shape, &Device::Cpu).map(Images::Ready);
            return Ok([ready(first)?, ready(second)?]);
        };
        let channels = patches.channels();
        let room = || feeder.planes([batch, size, size, channels]);
        let [mut first, mut second] = [room()?, room()?];
        let planes = [first.planes_mut()?, second.planes_mut()?];
        view_pixels(patches, indices, views, (seed, epoch), channels, planes);
        Ok([Images::Sent(first.send()?), Images::Sent(second.send()?)])
    }

    /// The tiles, `[batch, side, side, channels]`: at least one.
    ///
    /// # Errors
    /// If there is not enough memory for them.
    ///
    /// # Panics
    /// If the images do not fit the network ([`fits`](matssl_data::fits)).
    pub fn tiles(&self, tiles: &TileBatch) -> Result<Images> {
        let (count, side) = (tiles.len(), tiles.side);
        let Some(feeder) = &self.feeder else {
            let shape = (count, side, side, self.in_channels);
            return Ok(Images::Ready(Tensor::from_vec(tiles.normalized(self.in_channels), shape, &Device::Cpu)?));
        };
        let mut room = feeder.bytes([count, side, side, tiles.channels])?;
        room.bytes_mut()?.copy_from_slice(&tiles.pixels);
        Ok(Images::Sent(room.send()?))
    }
}

fn mask_tensor(masks: Masks) -> candle_core::Result<Tensor> {
    let [batch, height, width] = masks.shape;
    Tensor::from_vec(masks.labels, (batch, height, width), &Device::Cpu)
}
