//! MatSSL on a ResNet: two views, gated features of all stages, projection head, NT-Xent.

use super::{Network, Outputs};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result, Tensor, bail};
use matssl_run::nn::{Arch, Encoder, Gradients, Mode, Parameters, ResNetConfig, Variant};
use matssl_run::random::Stream;
use matssl_run::ssl::{ENCODER, Gate, HeadSizes, MatSsl, MethodLoss, MethodParameters, Moment, Online, SslMethod};
use serde::Deserialize;
use std::num::NonZeroUsize;

#[derive(Debug, Deserialize)]
struct OnResNet {
    arch: Arch,
    gate: Gate,
    hidden: NonZeroUsize,
    output: NonZeroUsize,
    temperature: f64,
    batch: usize,
    size: [usize; 2],
}

impl OnResNet {
    fn encoder(&self) -> Encoder {
        Encoder::new(ResNetConfig { arch: self.arch, width: 64, variant: Variant::V15, in_channels: 3 })
    }

    /// Head and loss; its parameters go to `parameters`.
    fn method(&self, parameters: &mut Parameters) -> Result<Box<dyn SslMethod>> {
        let head = HeadSizes { hidden: self.hidden, output: self.output };
        let method = MatSsl { temperature: self.temperature, gate: self.gate, head };
        method.build(&self.encoder(), parameters, &Stream::new(0, "parity", 0, 1))
    }
}

impl Network for OnResNet {
    fn name(&self) -> String {
        let gate = match self.gate {
            Gate::Paper => "gate σ(F)·P",
            Gate::Code => "gate σ(P)·F",
            Gate::None => "no gate",
        };
        format!("MatSSL, {:?}, {gate}, τ = {}", self.arch, self.temperature).replace("ResNet", "ResNet-")
    }

    fn weights(&self) -> String {
        format!("{:?}", self.arch)
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        self.encoder().init(parameters, ENCODER, &Stream::new(0, "parity", 0, 0))?;
        self.method(parameters)?;
        Ok(())
    }

    fn image(&self, _: DType) -> Result<Tensor> {
        bail!("a method takes two views")
    }

    fn infer(&self, _: &Parameters) -> Result<Outputs> {
        bail!("a method is for training alone")
    }

    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)> {
        if mode != Mode::Train {
            bail!("a method is for training alone");
        }
        // Methods keep no state beside their parameters, so one that built its own elsewhere works on these.
        let method = self.method(&mut Parameters::new(parameters.dtype(), parameters.device()))?;
        let [height, width] = self.size;
        let view = |name| hashed::tensor(name, &[self.batch, height, width, 3], PLAIN, parameters.dtype());
        let (encoder, moment) = (self.encoder(), Moment { step: 0, steps: 1, seed: 0 });
        let mut online = Online::new(&encoder, parameters);
        let MethodLoss { loss, .. } = method.loss(&mut online, &[view("first")?, view("second")?], moment)?;
        let gradients = online.backward(&loss)?;
        Ok(([("loss".to_owned(), loss.detach())].into(), gradients))
    }
}

pub(super) static PART: Part = Part::new("MatSSL", |done| super::sections::<OnResNet>("matssl", done));

#[test]
fn matssl_is_lightlys() {
    hold(PART.sections());
}
