//! MatSSL: contrast of two views by gated features of all four stages.
//!
//! Global average pooling of each stage, a gate a stage, concatenation (256 + 512 + 1024 + 2048 = 3840 for a ResNet-50),
//! SimCLR's projection head, NT-Xent.

use super::head::{HeadSizes, ProjectionHead, mean};
use super::method::{MethodLoss, MethodParameters, SslMethod, check_temperature};
use super::nt_xent::{NtXent, embedding_std, nt_xent};
use super::online::Online;
use crate::nn::{Parameters, ResNet, Role};
use crate::random::Stream;
use candle_core::{D, Result, Tensor};
use candle_nn::ops::sigmoid;
use serde::{Deserialize, Serialize};

/// How a stage's pooled features F (`[batch, channels]`) and its gate parameters P (`[channels]`, ones at start as in the
/// authors' code; the paper is silent) are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// σ(F)·P: the paper's Eq. 1.
    Paper,
    /// σ(P)·F: the authors' released code (`GatedFeatureFusion`).
    Code,
    /// F as it is: for ablations.
    None,
}

/// Parameters of MatSSL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatSsl {
    /// τ of NT-Xent: 0.07, in the paper and in the authors' code.
    pub temperature: f64,
    /// The paper's by default: what a reader of the paper expects the name to mean.
    pub gate: Gate,
    /// The projection head.
    pub head: HeadSizes,
}

impl Default for MatSsl {
    fn default() -> Self {
        MatSsl { temperature: 0.07, gate: Gate::Paper, head: HeadSizes::default() }
    }
}

impl MethodParameters for MatSsl {
    const NAME: &'static str = "matssl";

    fn check(&self) -> std::result::Result<(), String> {
        check_temperature(self.temperature)
    }

    fn build(&self, encoder: &ResNet, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [_, stages @ ..] = encoder.channels();
        if self.gate != Gate::None {
            for (stage, channels) in stages.into_iter().enumerate() {
                let ones = Tensor::ones(channels, parameters.dtype(), parameters.device())?;
                parameters.insert(gate_name(stage), ones, Role::NormWeight)?;
            }
        }
        let head = ProjectionHead::init(stages.iter().sum(), self.head, parameters, stream)?;
        Ok(Box::new(Training { temperature: self.temperature, gate: self.gate, head }))
    }
}

fn gate_name(stage: usize) -> String {
    format!("attn_module.gates.{stage}")
}

struct Training {
    temperature: f64,
    gate: Gate,
    head: ProjectionHead,
}

impl Training {
    /// The gated features of the four stages, side by side: `[batch, sum of channels]`.
    fn fuse(&self, parameters: &Parameters, stages: &[Tensor; 4]) -> Result<Tensor> {
        let gated = stages.iter().enumerate().map(|(stage, features)| match self.gate {
            Gate::Paper => sigmoid(features)?.broadcast_mul(parameters.tensor(&gate_name(stage))?),
            Gate::Code => features.broadcast_mul(&sigmoid(parameters.tensor(&gate_name(stage))?)?),
            Gate::None => Ok(features.clone()),
        });
        Tensor::cat(&gated.collect::<Result<Vec<_>>>()?, D::Minus1)
    }
}

impl SslMethod for Training {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2]) -> Result<MethodLoss> {
        let mut embed = |view: &Tensor| -> Result<Tensor> {
            let stages = online.pooled(view)?;
            self.head.forward(online.parameters(), &self.fuse(online.parameters(), &stages)?)
        };
        let (first, second) = (embed(&views[0])?, embed(&views[1])?);
        let NtXent { loss, retrieval } = nt_xent(&first, &second, self.temperature)?;
        Ok(MethodLoss { loss, embedding_std: embedding_std(&first)?, retrieval })
    }

    fn columns(&self) -> &'static [&'static str] {
        match self.gate {
            Gate::None => &[],
            _ => &["gate_1", "gate_2", "gate_3", "gate_4"],
        }
    }

    /// The mean of each stage's gate parameters.
    fn values(&self, parameters: &Parameters) -> Result<Vec<f64>> {
        (0..self.columns().len()).map(|stage| mean(parameters.tensor(&gate_name(stage))?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};
    use std::num::NonZeroUsize;

    const CHANNELS: [usize; 4] = [2, 3, 4, 5];

    fn training(gate: Gate) -> (Training, Parameters) {
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let stream = Stream::new(3, "matssl", 0, 0);
        for (stage, channels) in CHANNELS.into_iter().enumerate() {
            let mut stream = stream.child(stage as u64);
            let gate: Vec<f64> = (0..channels).map(|_| stream.normal()).collect();
            parameters.insert(gate_name(stage), Tensor::new(gate, &Device::Cpu).unwrap(), Role::NormWeight).unwrap();
        }
        let sizes = HeadSizes { hidden: NonZeroUsize::new(6).unwrap(), output: NonZeroUsize::new(4).unwrap() };
        let head = ProjectionHead::init(CHANNELS.iter().sum(), sizes, &mut parameters, &stream.child(9)).unwrap();
        (Training { temperature: 0.07, gate, head }, parameters)
    }

    fn stages(index: u64) -> [Tensor; 4] {
        let mut stream = Stream::new(4, "stages", 0, index);
        CHANNELS.map(|channels| {
            let values: Vec<f64> = (0..3 * channels).map(|_| stream.normal()).collect();
            Var::from_vec(values, (3, channels), &Device::Cpu).unwrap().into_inner()
        })
    }

    #[test]
    fn each_gate_is_the_formula_it_is_named_after() {
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        for gate in [Gate::Paper, Gate::Code, Gate::None] {
            let formula = |f: f64, p: f64| match gate {
                Gate::Paper => sigma(f) * p,
                Gate::Code => sigma(p) * f,
                Gate::None => f,
            };
            let (training, parameters) = training(gate);
            let stages = stages(0);
            let fused: Vec<Vec<f64>> = training.fuse(&parameters, &stages).unwrap().to_vec2().unwrap();
            assert_eq!((fused.len(), fused[0].len()), (3, 14));
            let features: Vec<Vec<f64>> = stages[2].to_vec2().unwrap();
            let weights: Vec<f64> = parameters.tensor(&gate_name(2)).unwrap().to_vec1().unwrap();
            for row in 0..3 {
                for channel in 0..4 {
                    let expected = formula(features[row][channel], weights[channel]);
                    assert!((fused[row][5 + channel] - expected).abs() < 1e-12, "{gate:?}");
                }
            }
        }
    }

    #[test]
    fn the_gradient_of_gates_head_and_loss_agrees_with_finite_differences() {
        for gate in [Gate::Paper, Gate::Code] {
            let (training, parameters) = training(gate);
            let (first, second) = (stages(0), stages(1));
            let loss = || -> Result<Tensor> {
                let embed = |stages| training.head.forward(&parameters, &training.fuse(&parameters, stages)?);
                Ok(nt_xent(&embed(&first)?, &embed(&second)?, 0.5)?.loss)
            };
            let gradients = loss().unwrap().backward().unwrap();
            let var = &parameters.get(&gate_name(1)).unwrap().var;
            let mut checked = vec![var.clone()];
            checked.extend([&first[0], &first[3], &second[1]].map(|stage| Var::from_tensor(stage).unwrap()));
            for var in checked {
                let analytic: Vec<f64> = gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let value: Vec<f64> = var.as_detached_tensor().flatten_all().unwrap().to_vec1().unwrap();
                for i in 0..value.len() {
                    let at = |step: f64| -> f64 {
                        let mut moved = value.clone();
                        moved[i] += step;
                        var.set(&Tensor::from_vec(moved, var.shape().clone(), &Device::Cpu).unwrap()).unwrap();
                        loss().unwrap().to_scalar().unwrap()
                    };
                    let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                    at(0.0);
                    assert!((analytic[i] - numeric).abs() < 1e-7, "{gate:?}[{i}]: {} {numeric}", analytic[i]);
                }
            }
        }
    }
}
