//! SimSiam (Chen & He 2021, *Exploring Simple Siamese Representation Learning*): a view's prediction of the other's
//! projection, through which no gradient goes back.

use super::cosine::cosine;
use super::head::{Head, HeadSizes, Layer, Norm};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod};
use super::online::Online;
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Parameters of SimSiam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SimSiam {
    /// The projection head: 2048 → 2048 → 2048 → 2048, batch norm after each (Chen & He 2021, section 3).
    pub(crate) head: HeadSizes<2048, 2048>,
    /// Width of the prediction head's hidden layer: 512 (section 3).
    pub(crate) prediction_hidden: NonZeroUsize,
}

impl Default for SimSiam {
    fn default() -> Self {
        SimSiam { head: HeadSizes::default(), prediction_hidden: const { NonZeroUsize::new(512).unwrap() } }
    }
}

impl MethodParameters for SimSiam {
    const NAME: &'static str = "simsiam";

    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let ([.., last], HeadSizes { hidden, output }) = (encoder.channels(), self.head);
        // Without scale and shift at the end, as in lightly and the authors' code.
        let end = Layer { outputs: output.get(), norm: Norm::Plain, relu: false };
        let layers = [Layer::hidden(hidden), Layer::hidden(hidden), end];
        let projection = Head::init("projection_head", last, layers, parameters, stream)?;
        let layers = [Layer::hidden(self.prediction_hidden), Layer::last(output)];
        let prediction = Head::init("prediction_head", output.get(), layers, parameters, stream)?;
        Ok(Box::new(SimSiamLearner { projection, prediction }))
    }
}

/// The method at work: its heads and its loss.
struct SimSiamLearner {
    projection: Head,
    prediction: Head,
}

impl SslMethod for SimSiamLearner {
    /// −(cos(p₁, z₂) + cos(p₂, z₁)) / 2 (Chen & He 2021, Eq. 4).
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], _: Moment) -> Result<MethodLoss> {
        let mut predict = |view: &Tensor| -> Result<[Tensor; 2]> {
            let projected = self.projection.forward(online.tape(), &online.features("", view)?)?;
            let predicted = self.prediction.forward(online.tape(), &projected)?;
            Ok([online.leave(predicted)?, projected.tensor().detach()])
        };
        let ([first, z_first], [second, z_second]) = (predict(&views[0])?, predict(&views[1])?);
        let similarity = (cosine(&first, &z_second)? + cosine(&second, &z_first)?)?;
        Ok(MethodLoss { loss: (similarity * -0.5)?, parts: Vec::new(), embeddings: [z_first, z_second] })
    }
}
