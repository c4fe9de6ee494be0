//! SimCLR (Chen et al. 2020): two views are contrasted by the features of the last stage.

use super::head::{Head, HeadSizes, simclr};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_temperature};
use super::nt_xent::nt_xent;
use super::online::Online;
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the projection head's parameters lie.
const HEAD: &str = "projection_head";

/// Parameters of SimCLR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SimClr {
    /// τ of NT-Xent: 0.1 (Chen et al. 2020, appendix B.9).
    pub(crate) temperature: f64,
    /// The projection head.
    pub(crate) head: HeadSizes<2048, 128>,
}

impl Default for SimClr {
    fn default() -> Self {
        SimClr { temperature: 0.1, head: HeadSizes::default() }
    }
}

impl MethodParameters for SimClr {
    const NAME: &'static str = "simclr";

    fn check(&self) -> std::result::Result<(), String> {
        check_temperature(self.temperature)
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [.., last] = encoder.channels();
        let head = Head::init(HEAD, last, simclr(self.head), parameters, stream)?;
        Ok(Box::new(SimClrLearner { temperature: self.temperature, head }))
    }
}

/// The method at work: its heads and its loss.
struct SimClrLearner {
    temperature: f64,
    head: Head,
}

impl SslMethod for SimClrLearner {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], _: Moment) -> Result<MethodLoss> {
        let mut embed = |view: &Tensor| -> Result<Tensor> {
            let features = online.features("", view)?;
            online.leave(self.head.forward(online.tape(), &features)?)
        };
        let embeddings = [embed(&views[0])?, embed(&views[1])?];
        let loss = nt_xent(&embeddings[0], &embeddings[1], self.temperature)?;
        Ok(MethodLoss { loss, parts: Vec::new(), embeddings })
    }
}
