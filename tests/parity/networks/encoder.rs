//! ResNets as encoders: the features of every stage.

use super::{Network, Outputs};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{self, Arch, Gradients, Mode, Parameters, ResNetConfig, Tape, Value, Variant};
use matssl_run::random::Stream;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Encoder {
    pub(crate) arch: Arch,
    pub(crate) variant: Variant,
    pub(crate) batch: usize,
    pub(crate) size: [usize; 2],
}

impl Encoder {
    pub(crate) fn net(&self) -> nn::Encoder {
        nn::Encoder::new(ResNetConfig { arch: self.arch, width: 64, variant: self.variant, in_channels: 3 })
    }

    fn features(&self, tape: &Tape<'_>) -> Result<[Value; 5]> {
        self.net().features(tape, "", &tape.constant(self.image(tape.parameters().dtype())?))
    }
}

fn outputs(features: &[Value]) -> Outputs {
    (0..).zip(features).map(|(level, value)| (format!("feature{level}"), value.tensor().clone())).collect()
}

impl Network for Encoder {
    fn name(&self) -> String {
        let variant = if self.variant == Variant::V1 { "v1" } else { "v1.5" };
        format!("{:?} {variant}", self.arch).replace("ResNet", "ResNet-")
    }

    fn weights(&self) -> String {
        format!("{:?}", self.arch)
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        self.net().init(parameters, "", &Stream::new(0, "parity", 0, 0))
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        let [height, width] = self.size;
        hashed::tensor("x", &[self.batch, height, width, 3], PLAIN, dtype)
    }

    fn infer(&self, parameters: &Parameters) -> Result<Outputs> {
        Ok(outputs(&self.features(&Tape::new(parameters, Mode::Eval))?))
    }

    /// The gradients of Σ ⟨feature, seed⟩ / √elements over the stages, seeds hashed.
    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)> {
        let tape = Tape::new(parameters, mode);
        let features = self.features(&tape)?;
        let found = outputs(&features);
        let seed = |(level, feature): (usize, Value)| {
            let (shape, dtype) = (feature.tensor().dims(), feature.tensor().dtype());
            let scale = 1.0 / (feature.tensor().elem_count() as f64).sqrt();
            let seed = (hashed::tensor(&format!("seed{level}"), shape, PLAIN, dtype)? * scale)?;
            Ok((feature, seed))
        };
        let seeds = features.into_iter().enumerate().map(seed).collect::<Result<Vec<_>>>()?;
        Ok((found, tape.backward(seeds)?))
    }
}

pub(super) static PART: Part = Part::new("encoders", |done| super::sections::<Encoder>("encoders", done));

#[test]
fn encoders_are_torchvisions() {
    hold(PART.sections());
}
