//! SimCLR (Chen et al. 2020): contrast of two views by the features of the last stage.

use super::head::{HeadSizes, ProjectionHead};
use super::method::{MethodLoss, MethodParameters, SslMethod, check_temperature};
use super::nt_xent::{NtXent, embedding_std, nt_xent};
use super::online::Online;
use crate::nn::{Parameters, ResNet};
use crate::random::Stream;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// Parameters of SimCLR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimClr {
    /// τ of NT-Xent: 0.1 (Chen et al. 2020, appendix B.9).
    pub temperature: f64,
    /// The projection head.
    pub head: HeadSizes,
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

    fn build(&self, encoder: &ResNet, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [.., last] = encoder.channels();
        let head = ProjectionHead::init(last, self.head, parameters, stream)?;
        Ok(Box::new(Training { temperature: self.temperature, head }))
    }
}

struct Training {
    temperature: f64,
    head: ProjectionHead,
}

impl SslMethod for Training {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2]) -> Result<MethodLoss> {
        let mut embed = |view: &Tensor| -> Result<Tensor> {
            let [.., last] = online.pooled(view)?;
            online.leave(self.head.forward(online.tape(), &last)?)
        };
        let (first, second) = (embed(&views[0])?, embed(&views[1])?);
        let NtXent { loss, retrieval } = nt_xent(&first, &second, self.temperature)?;
        Ok(MethodLoss { loss, embedding_std: embedding_std(&first)?, retrieval })
    }
}
