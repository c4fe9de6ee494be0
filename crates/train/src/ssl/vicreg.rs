//! VICReg (Bardes et al. 2022, *Variance-Invariance-Covariance Regularization*): alike in both views, spread over the
//! batch, uncorrelated between dimensions.

use super::barlow_twins::expander;
use super::head::{Head, HeadSizes};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_weight, value};
use super::online::Online;
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance (Bardes et al. 2022, section 4.1).
const EPSILON: f64 = 1e-4;

/// Parameters of VICReg; the weights are those of section 4.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VicReg {
    /// λ: 25.
    pub(crate) invariance_weight: f64,
    /// μ: 25.
    pub(crate) variance_weight: f64,
    /// ν: 1.
    pub(crate) covariance_weight: f64,
    /// The expander: 2048 → 8192 → 8192 → 8192 (section 4.2).
    pub(crate) head: HeadSizes<8192, 8192>,
}

impl Default for VicReg {
    fn default() -> Self {
        VicReg { invariance_weight: 25.0, variance_weight: 25.0, covariance_weight: 1.0, head: HeadSizes::default() }
    }
}

impl MethodParameters for VicReg {
    const NAME: &'static str = "vicreg";
    const COLUMNS: &'static [&'static str] = &["loss_invariance", "loss_variance", "loss_covariance"];

    fn check(&self) -> std::result::Result<(), String> {
        check_weight("invariance_weight", self.invariance_weight)?;
        check_weight("variance_weight", self.variance_weight)?;
        check_weight("covariance_weight", self.covariance_weight)
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [.., last] = encoder.channels();
        let head = Head::init("projection_head", last, expander(self.head), parameters, stream)?;
        Ok(Box::new(VicRegLearner { weights: self.clone(), head }))
    }
}

/// The method at work: its heads and its loss.
struct VicRegLearner {
    weights: VicReg,
    head: Head,
}

/// Mean over the dimensions of max(0, 1 − √(variance + ε)) (Eq. 1), and the sum of the squared covariances off the
/// diagonal over the dimensions (Eq. 4), of an `embedding` `[batch, dimensions]`.
///
/// The covariance itself, dimensions², is never made: ‖xᵀx‖² = ‖xxᵀ‖², and batches are small beside 8,192 dimensions.
fn spread(embedding: &Tensor) -> Result<[Tensor; 2]> {
    let (batch, dimensions) = embedding.dims2()?;
    let freedom = batch as f64 - 1.0;
    let centred = embedding.broadcast_sub(&embedding.mean_keepdim(0)?)?;
    let variance = (centred.sqr()?.sum(0)? / freedom)?;
    let deviation = (&variance + EPSILON)?.sqrt()?;
    let short = deviation.affine(-1.0, 1.0)?.relu()?.mean_all()?;
    let all = (centred.matmul(&centred.t()?)?.sqr()?.sum_all()? / (freedom * freedom))?;
    Ok([short, ((all - variance.sqr()?.sum_all()?)? / dimensions as f64)?])
}

impl SslMethod for VicRegLearner {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], _: Moment) -> Result<MethodLoss> {
        let mut embed = |view: &Tensor| -> Result<Tensor> {
            let features = online.features("", view)?;
            online.leave(self.head.forward(online.tape(), &features)?)
        };
        let embeddings = [embed(&views[0])?, embed(&views[1])?];
        let invariance = (&embeddings[0] - &embeddings[1])?.sqr()?.mean_all()?;
        let ([short, covariance], [other_short, other_covariance]) = (spread(&embeddings[0])?, spread(&embeddings[1])?);
        // As the authors' code and lightly have it: the mean of the variance terms, the sum of the covariance terms.
        let (variance, covariance) = (((short + other_short)? * 0.5)?, (covariance + other_covariance)?);
        let parts = vec![value(&invariance)?, value(&variance)?, value(&covariance)?];
        let VicReg { invariance_weight, variance_weight, covariance_weight, .. } = self.weights;
        let loss = ((invariance * invariance_weight)? + (variance * variance_weight)?)?;
        let loss = (loss + (covariance * covariance_weight)?)?;
        Ok(MethodLoss { loss, parts, embeddings })
    }

    fn parts(&self) -> &'static [&'static str] {
        VicReg::COLUMNS
    }
}
