//! Barlow Twins (Zbontar et al. 2021, *Self-Supervised Learning via Redundancy Reduction*): the correlation of two views'
//! embeddings over the batch shall be the identity.

use super::head::{Head, HeadSizes, Layer};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_weight, value};
use super::online::Online;
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance: the ε of the batch norm that standardises in the authors' code and in lightly.
const EPSILON: f64 = 1e-5;

/// Parameters of Barlow Twins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BarlowTwins {
    /// λ: the weight of what is off the diagonal, 5e-3 (Zbontar et al. 2021, section 2.2).
    pub(crate) off_diagonal_weight: f64,
    /// The projection head: 2048 → 8192 → 8192 → 8192 (section 2.2).
    pub(crate) head: HeadSizes<8192, 8192>,
}

impl Default for BarlowTwins {
    fn default() -> Self {
        BarlowTwins { off_diagonal_weight: 5e-3, head: HeadSizes::default() }
    }
}

/// Three linear layers, the last alone: the heads of Barlow Twins and VICReg.
pub(super) fn expander<const H: usize, const O: usize>(sizes: HeadSizes<H, O>) -> [Layer; 3] {
    [Layer::hidden(sizes.hidden), Layer::hidden(sizes.hidden), Layer::last(sizes.output)]
}

impl MethodParameters for BarlowTwins {
    const NAME: &'static str = "barlow-twins";
    const COLUMNS: &'static [&'static str] = &["loss_invariance", "loss_redundancy"];

    fn check(&self) -> std::result::Result<(), String> {
        check_weight("off_diagonal_weight", self.off_diagonal_weight)
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [.., last] = encoder.channels();
        let head = Head::init("projection_head", last, expander(self.head), parameters, stream)?;
        Ok(Box::new(BarlowTwinsLearner { off_diagonal_weight: self.off_diagonal_weight, head }))
    }
}

/// The method at work: its heads and its loss.
struct BarlowTwinsLearner {
    off_diagonal_weight: f64,
    head: Head,
}

/// Each column less its mean, over its standard deviation in the batch.
fn standardize(embedding: &Tensor) -> Result<Tensor> {
    let centred = embedding.broadcast_sub(&embedding.mean_keepdim(0)?)?;
    centred.broadcast_div(&(centred.sqr()?.mean_keepdim(0)? + EPSILON)?.sqrt()?)
}

/// Σᵢ (1 − cᵢᵢ)² and Σᵢⱼ cᵢⱼ² − Σᵢ cᵢᵢ² of the correlation c = aᵀb / batch of standardised `a` and `b`, `[batch, dimensions]`.
///
/// c itself, dimensions², is never made: Σᵢⱼ cᵢⱼ² = ⟨aaᵀ, bbᵀ⟩ / batch², and batches are small beside 8,192 dimensions.
fn terms(a: &Tensor, b: &Tensor) -> Result<[Tensor; 2]> {
    let batch = a.dim(0)? as f64;
    let diagonal = ((a * b)?.sum(0)? / batch)?;
    let squares = ((a.matmul(&a.t()?)? * b.matmul(&b.t()?)?)?.sum_all()? / (batch * batch))?;
    Ok([diagonal.affine(-1.0, 1.0)?.sqr()?.sum_all()?, (squares - diagonal.sqr()?.sum_all()?)?])
}

impl SslMethod for BarlowTwinsLearner {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], _: Moment) -> Result<MethodLoss> {
        let mut embed = |view: &Tensor| -> Result<Tensor> {
            let features = online.features("", view)?;
            online.leave(self.head.forward(online.tape(), &features)?)
        };
        let embeddings = [embed(&views[0])?, embed(&views[1])?];
        let [invariance, redundancy] = terms(&standardize(&embeddings[0])?, &standardize(&embeddings[1])?)?;
        let parts = vec![value(&invariance)?, value(&redundancy)?];
        let loss = (invariance + (redundancy * self.off_diagonal_weight)?)?;
        Ok(MethodLoss { loss, parts, embeddings })
    }

    fn parts(&self) -> &'static [&'static str] {
        BarlowTwins::COLUMNS
    }
}
