//! BYOL (Grill et al. 2020, *Bootstrap Your Own Latent*): the prediction from one view of a momentum network's
//! embedding of the other; no negatives.

use super::cosine::cosine;
use super::head::{Head, HeadSizes, Layer};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_part};
use super::momentum::{MOMENTUM, Momentum};
use super::online::{ENCODER, Online};
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::num::NonZeroUsize;

/// Where the heads' parameters lie.
const PROJECTION: &str = "projection_head";
const PREDICTION: &str = "prediction_head";

/// Parameters of BYOL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Byol {
    /// τ_base: the part of the momentum network that stays in a step at the beginning; it rises to 1 along a cosine. 0.996
    /// (Grill et al. 2020, section 3.2).
    pub(crate) momentum: f64,
    /// The projection head: 2048 → 4096 → 256 (section 3.2).
    pub(crate) head: HeadSizes<4096, 256>,
    /// Width of the prediction head's hidden layer: 4096 (section 3.2).
    pub(crate) prediction_hidden: NonZeroUsize,
}

impl Default for Byol {
    fn default() -> Self {
        Byol {
            momentum: 0.996,
            head: HeadSizes::default(),
            prediction_hidden: const { NonZeroUsize::new(4096).unwrap() },
        }
    }
}

impl MethodParameters for Byol {
    const NAME: &'static str = "byol";

    fn check(&self) -> std::result::Result<(), String> {
        check_part("momentum", self.momentum)
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let ([.., last], HeadSizes { hidden, output }) = (encoder.channels(), self.head);
        let layers = [Layer::hidden(hidden), Layer::last(output)];
        let projection = Head::init(PROJECTION, last, layers, parameters, stream)?;
        let layers = [Layer::hidden(self.prediction_hidden), Layer::last(output)];
        let prediction = Head::init(PREDICTION, output.get(), layers, parameters, stream)?;
        let follower = Momentum::init(parameters, &[ENCODER, PROJECTION])?;
        Ok(Box::new(ByolLearner { momentum: self.momentum, projection, prediction, follower }))
    }
}

/// The method at work: its heads and its loss.
struct ByolLearner {
    momentum: f64,
    projection: Head,
    prediction: Head,
    follower: Momentum,
}

impl ByolLearner {
    /// 1 − (1 − τ_base) · (cos(π · step / steps) + 1) / 2 (Grill et al. 2020, section 3.2).
    fn keep(&self, moment: Moment) -> f64 {
        let done = moment.step as f64 / moment.steps as f64;
        1.0 - (1.0 - self.momentum) * ((PI * done).cos() + 1.0) / 2.0
    }
}

impl SslMethod for ByolLearner {
    /// ‖q̄ − z̄'‖² = 2 − 2 cos (Grill et al. 2020, Eq. 2), for either view as the predicting one.
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], moment: Moment) -> Result<MethodLoss> {
        self.follower.follow(online.tape().parameters(), self.keep(moment))?;
        let mut predict = |view: &Tensor| -> Result<[Tensor; 2]> {
            let projected = self.projection.forward(online.tape(), &online.features("", view)?)?;
            let predicted = self.prediction.forward(online.tape(), &projected)?;
            Ok([online.leave(predicted)?, projected.tensor().detach()])
        };
        let ([first, z_first], [second, z_second]) = (predict(&views[0])?, predict(&views[1])?);
        let target = |view: &Tensor| -> Result<Tensor> {
            let features = online.features(MOMENTUM, view)?;
            Ok(self.projection.forward_below(MOMENTUM, online.tape(), &features)?.tensor().clone())
        };
        let (target_first, target_second) = (target(&views[0])?, target(&views[1])?);
        let similarity = (cosine(&first, &target_second)? + cosine(&second, &target_first)?)?;
        let loss = similarity.affine(-2.0, 4.0)?;
        Ok(MethodLoss { loss, parts: Vec::new(), embeddings: [z_first, z_second] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn the_momentum_rises_from_its_base_to_one() {
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let stream = Stream::new(0, "byol test", 0, 0);
        let mut head = |name| Head::init(name, 1, [Layer::last(NonZeroUsize::MIN)], &mut parameters, &stream).unwrap();
        let (projection, prediction) = (head(PROJECTION), head(PREDICTION));
        let follower = Momentum::init(&mut parameters, &[PROJECTION]).unwrap();
        let training = ByolLearner { momentum: 0.99, projection, prediction, follower };
        let keep = |step| training.keep(Moment { step, steps: 100, seed: 0 });
        assert!((keep(0) - 0.99).abs() < 1e-15 && (keep(50) - 0.995).abs() < 1e-15 && (keep(100) - 1.0).abs() < 1e-15);
    }
}
