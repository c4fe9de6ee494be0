//! DenseCL (Wang et al. 2021, *Dense Contrastive Learning for Self-Supervised Visual Pre-Training*): MoCo v2 for whole
//! images, and also for every position of the last map.

use super::head::{Head, HeadSizes};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_part, check_temperature, value};
use super::mocov2::head_layers;
use super::momentum::{MOMENTUM, Momentum};
use super::nt_xent::normalize;
use super::online::{ENCODER, Online};
use super::queue::{Queue, WORKING_BYTES, info_nce};
use crate::networks::Encoder;
use candle_core::{D, DType, Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Where the two heads' parameters lie.
const GLOBAL: &str = "projection_head";
const DENSE: &str = "dense_head";

/// Which position of the key's map is the positive of a position of the query's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Matching {
    /// The one with the most similar features, by cosine (Wang et al. 2021, Eq. 3).
    MostSimilar,
    /// The cell with the same index, whatever the two crops show there: the MatSSL authors' code.
    SamePosition,
}

/// What the dense head is contrasted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DenseNegatives {
    /// One key an image: the mean of its positions (Wang et al. 2021, section 3.2, and their code).
    Pooled,
    /// A key a position: lightly's DenseCL, and the MatSSL authors' code.
    Positions,
}

/// Parameters of DenseCL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DenseCl {
    /// τ of both losses: 0.2 (Wang et al. 2021, section 4.1); 0.5 in the MatSSL authors' code.
    pub(crate) temperature: f64,
    /// Part of the key encoder that stays in a step: 0.999 (section 4.1).
    pub(crate) momentum: f64,
    /// Keys in each of the two queues: 65,536 (section 4.1); 4,096 in the MatSSL authors' code.
    pub(crate) queue_size: NonZeroUsize,
    /// λ: the loss is (1 − λ) · global + λ · dense; 0.5 (Eq. 4). The MatSSL authors' sum of both is twice that.
    pub(crate) dense_weight: f64,
    /// How positions find each other.
    pub(crate) matching: Matching,
    /// What they are contrasted with.
    pub(crate) dense_negatives: DenseNegatives,
    /// Both heads: 2048 → 2048 → 128 without batch norm (section 4.1); hidden 512 in the MatSSL authors' code.
    pub(crate) head: HeadSizes<2048, 128>,
}

impl Default for DenseCl {
    fn default() -> Self {
        DenseCl {
            temperature: 0.2,
            momentum: 0.999,
            queue_size: const { NonZeroUsize::new(65_536).unwrap() },
            dense_weight: 0.5,
            matching: Matching::MostSimilar,
            dense_negatives: DenseNegatives::Pooled,
            head: HeadSizes::default(),
        }
    }
}

impl MethodParameters for DenseCl {
    const NAME: &'static str = "densecl";
    const COLUMNS: &'static [&'static str] = &["loss_global", "loss_dense"];

    fn check(&self) -> std::result::Result<(), String> {
        check_temperature(self.temperature)?;
        check_part("momentum", self.momentum)?;
        check_part("dense_weight", self.dense_weight)
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [.., last] = encoder.channels();
        let global = Head::init(GLOBAL, last, head_layers(self.head), parameters, stream)?;
        let dense = Head::init(DENSE, last, head_layers(self.head), parameters, stream)?;
        let follower = Momentum::init(parameters, &[ENCODER, GLOBAL, DENSE])?;
        let sizes = [self.queue_size, self.head.output];
        let queue = Queue::init("queue", sizes, parameters, &stream.child(1))?;
        let dense_queue = Queue::init("dense_queue", sizes, parameters, &stream.child(2))?;
        Ok(Box::new(DenseClLearner { parameters: self.clone(), global, dense, follower, queue, dense_queue }))
    }
}

/// The method at work: its heads and its loss.
struct DenseClLearner {
    parameters: DenseCl,
    global: Head,
    dense: Head,
    follower: Momentum,
    queue: Queue,
    dense_queue: Queue,
}

/// One view by one of the two networks.
struct Embedded {
    /// The encoder's last map, `[batch, height, width, channels]`.
    map: Tensor,
    /// `[batch, dimensions]`.
    global: Value,
    /// `[batch · height · width, dimensions]`.
    dense: Value,
}

impl DenseClLearner {
    fn embed(&self, online: &Online<'_>, prefix: &str, view: &Tensor) -> Result<Embedded> {
        let (tape, map) = (online.tape(), online.map(prefix, view)?);
        let global = self.global.forward_below(prefix, tape, &tape.global_average_pool(&map)?)?;
        let dense = self.dense.forward_below(prefix, tape, &tape.pixels(&map)?)?;
        Ok(Embedded { map: map.tensor().detach(), global, dense })
    }
}

/// For each position of the query's map (`[batch, height, width, channels]`, as the key's) the row of its positive among
/// all positions of the batch.
fn matches(matching: Matching, query: &Tensor, key: &Tensor) -> Result<Vec<u32>> {
    let (batch, height, width, channels) = query.dims4()?;
    let positions = height * width;
    if matching == Matching::SamePosition {
        return Ok((0..(batch * positions) as u32).collect());
    }
    let directions = |map: &Tensor| {
        let wide = if map.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        normalize(&map.reshape((batch, positions, channels))?.to_dtype(wide)?)
    };
    let similarity = directions(query)?.matmul(&directions(key)?.transpose(1, 2)?.contiguous()?)?;
    let nearest: Vec<Vec<u32>> = similarity.argmax(D::Minus1)?.to_vec2()?;
    let rows = nearest
        .iter()
        .zip(0..)
        .flat_map(|(row, image): (_, u32)| row.iter().map(move |&position| image * positions as u32 + position));
    Ok(rows.collect())
}

impl SslMethod for DenseClLearner {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], moment: Moment) -> Result<MethodLoss> {
        let (store, &DenseCl { temperature, dense_weight, .. }) = (online.tape().parameters(), &self.parameters);
        self.follower.follow(store, self.parameters.momentum)?;
        let query = self.embed(online, "", &views[0])?;
        let key = self.embed(online, MOMENTUM, &views[1])?;

        let (global, global_key) = (online.leave(query.global)?, normalize(key.global.tensor())?);
        let loss_global = info_nce(&global, &global_key, &self.queue.keys(store)?, temperature)?;

        let rows = matches(self.parameters.matching, &query.map, &key.map)?;
        let rows = Tensor::from_vec(rows, key.dense.tensor().dim(0)?, store.device())?;
        let (dense, keys) = (online.leave(query.dense)?, key.dense.tensor());
        let positives = normalize(keys)?.index_select(&rows, 0)?;
        let loss_dense = info_nce(&dense, &positives, &self.dense_queue.keys(store)?, temperature)?;

        self.queue.push(store, &global_key, moment)?;
        let dense_keys = match self.parameters.dense_negatives {
            DenseNegatives::Positions => positives,
            DenseNegatives::Pooled => {
                let (batch, dimensions) = global.dims2()?;
                normalize(&keys.reshape((batch, (), dimensions))?.mean(1)?)?
            }
        };
        self.dense_queue.push(store, &dense_keys, moment)?;
        let parts = vec![value(&loss_global)?, value(&loss_dense)?];
        let loss = ((loss_global * (1.0 - dense_weight))? + (loss_dense * dense_weight)?)?;
        Ok(MethodLoss { loss, parts, embeddings: [global, global_key] })
    }

    fn recorded_passes(&self) -> u64 {
        1
    }

    /// The dense head on every position of the last map, trained and by momentum, and its gradients.
    fn loss_bytes(&self, batch: usize, size: usize) -> u64 {
        let (positions, head) = (batch * size.div_ceil(32).pow(2), self.parameters.head);
        WORKING_BYTES + (4 * positions * (4 * head.hidden.get() + 8 * head.output.get())) as u64
    }

    fn parts(&self) -> &'static [&'static str] {
        DenseCl::COLUMNS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// The key's map is the query's turned by 180°, its features scaled, with a little noise: every position finds the
    /// opposite one, of its own image.
    #[test]
    fn positions_match_the_most_similar_feature_of_their_image() -> Result<()> {
        let mut stream = Stream::new(1, "densecl test", 0, 0);
        let query: Vec<f64> = (0..2 * 12 * 8).map(|_| stream.normal()).collect();
        let key: Vec<f64> = (0..2)
            .flat_map(|image| (0..12).rev().map(move |position| (image * 12 + position) * 8))
            .flat_map(|first| query[first..first + 8].iter().map(|value| value * 5.0 + 0.01).collect::<Vec<_>>())
            .collect();
        let map = |values: Vec<f64>| Tensor::from_vec(values, (2, 3, 4, 8), &Device::Cpu);
        let (query, key) = (map(query)?, map(key)?);
        let turned: Vec<u32> = (0..12).rev().chain((12..24).rev()).collect();
        assert_eq!(matches(Matching::MostSimilar, &query, &key)?, turned);
        assert_eq!(matches(Matching::SamePosition, &query, &key)?, (0..24).collect::<Vec<u32>>());
        Ok(())
    }
}
