//! MoCo v2 (He et al. 2020; Chen et al. 2020, *Improved Baselines with Momentum Contrastive Learning*): a query is
//! contrasted with its key, by a momentum encoder, and with a queue of earlier keys.

use super::head::{Head, HeadSizes, Layer, Norm};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_part, check_temperature};
use super::momentum::{MOMENTUM, Momentum};
use super::nt_xent::normalize;
use super::online::{ENCODER, Online};
use super::queue::{Queue, WORKING_BYTES, info_nce};
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Where the projection head's parameters lie.
const HEAD: &str = "projection_head";

/// Parameters of MoCo v2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MoCoV2 {
    /// τ of InfoNCE: 0.2 (Chen et al. 2020, table 2; the MatSSL authors' code).
    pub(crate) temperature: f64,
    /// Part of the key encoder that stays in a step: 0.999 (He et al. 2020, section 4.1).
    pub(crate) momentum: f64,
    /// Keys that are kept: 65,536 (He et al. 2020; the MatSSL authors' code).
    pub(crate) queue_size: NonZeroUsize,
    /// The projection head: 2048 → 2048 → 128 without batch norm (Chen et al. 2020).
    pub(crate) head: HeadSizes<2048, 128>,
    /// Groups of a batch with batch statistics of their own, those of the keys drawn anew in each step: what MoCo's shuffled
    /// batch norm comes to on one device (He et al. 2020, section 3.3; 8 there, one a GPU). 1, none, in the MatSSL
    /// authors' code.
    pub(crate) batch_norm_groups: NonZeroUsize,
}

impl Default for MoCoV2 {
    fn default() -> Self {
        MoCoV2 {
            temperature: 0.2,
            momentum: 0.999,
            queue_size: const { NonZeroUsize::new(65_536).unwrap() },
            head: HeadSizes::default(),
            batch_norm_groups: NonZeroUsize::MIN,
        }
    }
}

/// Linear with bias, ReLU, linear with bias: MoCo's and DenseCL's heads.
pub(super) fn head_layers(sizes: HeadSizes<2048, 128>) -> [Layer; 2] {
    [Layer { outputs: sizes.hidden.get(), norm: Norm::Bias, relu: true }, Layer::last(sizes.output)]
}

impl MethodParameters for MoCoV2 {
    const NAME: &'static str = "mocov2";

    fn check(&self) -> std::result::Result<(), String> {
        check_temperature(self.temperature)?;
        check_part("momentum", self.momentum)
    }

    fn check_batch(&self, pairs: usize) -> std::result::Result<(), String> {
        let groups = self.batch_norm_groups.get();
        if pairs.is_multiple_of(groups) && pairs / groups >= 2 {
            Ok(())
        } else {
            Err(format!(
                "batch_norm_groups = {groups}: a batch of {pairs} does not fall into groups of equal size, 2 or more"
            ))
        }
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [.., last] = encoder.channels();
        let head = Head::init(HEAD, last, head_layers(self.head), parameters, stream)?;
        let follower = Momentum::init(parameters, &[ENCODER, HEAD])?;
        let queue = Queue::init("queue", [self.queue_size, self.head.output], parameters, &stream.child(1))?;
        Ok(Box::new(MoCoV2Learner { parameters: self.clone(), head, follower, queue }))
    }
}

/// The method at work: its heads and its loss.
struct MoCoV2Learner {
    parameters: MoCoV2,
    head: Head,
    follower: Momentum,
    queue: Queue,
}

impl MoCoV2Learner {
    /// Features of a view, each group of the batch with batch statistics of its own.
    fn features(&self, online: &Online<'_>, prefix: &str, view: &Tensor) -> Result<Value> {
        let batch = view.dim(0)?;
        let group = batch / self.parameters.batch_norm_groups.get();
        let groups = (0..batch)
            .step_by(group)
            .map(|first| online.features(prefix, &view.narrow(0, first, group)?.contiguous()?));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        online.tape().stack(&groups.iter().collect::<Vec<_>>())
    }
}

/// The rows of `tensor` in this order.
fn reorder(tensor: &Tensor, order: &[usize]) -> Result<Tensor> {
    let rows: Vec<u32> = order.iter().map(|&row| row as u32).collect();
    tensor.index_select(&Tensor::from_vec(rows, order.len(), tensor.device())?, 0)
}

impl SslMethod for MoCoV2Learner {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], moment: Moment) -> Result<MethodLoss> {
        let store = online.tape().parameters();
        self.follower.follow(store, self.parameters.momentum)?;
        let features = self.features(online, "", &views[0])?;
        let query = online.leave(self.head.forward(online.tape(), &features)?)?;

        let embed = |view: &Tensor| -> Result<Tensor> {
            let features = self.features(online, MOMENTUM, view)?;
            Ok(self.head.forward_below(MOMENTUM, online.tape(), &features)?.tensor().clone())
        };
        let key = match self.parameters.batch_norm_groups.get() {
            1 => embed(&views[1])?,
            _ => {
                let order = Stream::new(moment.seed, "moco shuffle", moment.step, 0).permutation(views[1].dim(0)?);
                let mut back = vec![0; order.len()];
                order.iter().enumerate().for_each(|(place, &row)| back[row] = place);
                reorder(&embed(&reorder(&views[1], &order)?)?, &back)?
            }
        };
        let key = normalize(&key)?;

        let loss = info_nce(&query, &key, &self.queue.keys(store)?, self.parameters.temperature)?;
        self.queue.push(store, &key, moment)?;
        Ok(MethodLoss { loss, parts: Vec::new(), embeddings: [query, key] })
    }

    fn recorded_passes(&self) -> u64 {
        1
    }

    fn loss_bytes(&self, _: usize, _: usize) -> u64 {
        WORKING_BYTES
    }
}
