//! What the encoder of a segmentation network sees in tiles.

use super::batches::Batches;
use crate::networks::{Encoder, SegmentationNetwork};
use anyhow::Result;
use candle_core::{DType, Device};
use matssl_data::Micrograph;
use matssl_data::augment::normalization;
use matssl_data::tiles::{TileBatch, Tiling};
use matssl_tensor::{Mode, Parameters, Tape};

/// The embeddings of tiles: means over the pixels of the encoder's last stage, `[tiles, channels]`. Each tile is given by a tiling, its
/// image and its index there; all have one size. `batch` of them are computed at a time.
///
/// # Errors
/// If the tiles do not fit the network.
pub fn embeddings(
    network: &SegmentationNetwork,
    parameters: &Parameters,
    tiles: &[(&Tiling, &Micrograph, usize)],
    batch: usize,
) -> Result<Vec<f32>> {
    let encoder = Encoder::new(network.config().encoder.clone());
    let mut values = Vec::new();
    for batch in tiles.chunks(batch.max(1)) {
        let channels = batch.iter().map(|(_, image, _)| image.channels).max().unwrap_or(1);
        let mut cut = TileBatch::new(batch[0].0.tile, channels);
        batch.iter().for_each(|&(tiling, image, i)| cut.push(tiling, i, image, 0));
        let tiles = Batches::on(parameters.device(), encoder.config().in_channels())?.tiles(&cut)?;
        let pixels = tiles.normalized(parameters, normalization())?;
        let tape = Tape::new(parameters, Mode::Eval);
        let last = encoder.deepest(&tape, network.encoder_prefix(), &tape.input(&pixels)?)?;
        let means = tape.global_average_pool(&last)?.tensor().to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        values.extend(means.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;
    use matssl_base::random::Stream;

    #[test]
    fn an_embedding_is_the_mean_of_the_last_stage() -> Result<()> {
        let text = r#"{"architecture":"unet","encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
        let network = SegmentationNetwork::new(serde_json::from_str(text)?);
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        network.init(&mut parameters, &Stream::new(1, "embedding test", 0, 0))?;
        let mut stream = Stream::new(2, "embedding test", 0, 0);
        let pixels = (0..100 * 64).map(|_| stream.next_u32() as u8).collect();
        let image = Micrograph { width: 100, height: 64, channels: 1, pixels };
        let tiling = Tiling::new(100, 64, 64, 0.0);
        let tiles = [(&tiling, &image, 0), (&tiling, &image, 1)];
        let found = embeddings(&network, &parameters, &tiles, 1)?;
        assert_eq!(found.len(), 2 * 32);
        let mut cut = TileBatch::new(64, 1);
        cut.push(&tiling, 1, &image, 0);
        let cut = Tensor::from_vec(cut.normalized(3), (1, 64, 64, 3), &Device::Cpu)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let encoder = Encoder::new(network.config().encoder.clone());
        let last = encoder.deepest(&tape, "encoder", &tape.input(&cut)?)?;
        let last: Vec<f32> = last.tensor().flatten_all()?.to_vec1()?;
        for (channel, &value) in found[32..].iter().enumerate() {
            let mean = last.iter().skip(channel).step_by(32).sum::<f32>() / 4.0;
            assert!((value - mean).abs() < 1e-5, "{channel}: {value} {mean}");
        }
        assert!(found[..32] != found[32..]);
        let both = embeddings(&network, &parameters, &tiles, 4)?;
        assert!(found.iter().zip(&both).all(|(a, b)| (a - b).abs() < 1e-5));
        Ok(())
    }
}
