//! MatSSL: contrast of two views by gated features of all four stages.
//!
//! Global average pooling of each stage, a gate a stage, concatenation (256 + 512 + 1024 + 2048 = 3840 for a ResNet-50),
//! SimCLR's projection head, NT-Xent.

use super::head::{Head, HeadSizes, moments, simclr};
use super::method::{MethodLoss, MethodParameters, Moment, SslMethod, check_temperature};
use super::nt_xent::nt_xent;
use super::online::Online;
use crate::networks::Encoder;
use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Role, Tape, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a stage's pooled features F (`[batch, channels]`) and its gate parameters P (`[channels]`, ones at start as in the
/// authors' code; the paper is silent) are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// σ(F)·P: the paper's Eq. 1.
    Paper,
    /// σ(P)·F: the authors' released code (`GatedFeatureFusion`).
    Code,
    /// F as it is: for ablations.
    None,
}

/// Where the projection head's parameters lie.
const HEAD: &str = "projection_head";

/// Parameters of MatSSL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatSsl {
    /// τ of NT-Xent: 0.07, in the paper and in the authors' code.
    pub temperature: f64,
    /// The paper's by default: what a reader of the paper expects the name to mean.
    pub gate: Gate,
    /// The projection head.
    pub head: HeadSizes<2048, 128>,
}

impl Default for MatSsl {
    fn default() -> Self {
        MatSsl { temperature: 0.07, gate: Gate::Paper, head: HeadSizes::default() }
    }
}

impl MethodParameters for MatSsl {
    const NAME: &'static str = "matssl";
    const COLUMNS: &'static [&'static str] =
        &["gate_1", "gate_1_std", "gate_2", "gate_2_std", "gate_3", "gate_3_std", "gate_4", "gate_4_std"];

    fn check(&self) -> std::result::Result<(), String> {
        check_temperature(self.temperature)
    }

    fn build(&self, encoder: &Encoder, parameters: &mut Parameters, stream: &Stream) -> Result<Box<dyn SslMethod>> {
        let [_, stages @ ..] = encoder.channels();
        if self.gate != Gate::None {
            for (stage, channels) in stages.into_iter().enumerate() {
                let ones = Tensor::ones(channels, parameters.dtype(), parameters.device())?;
                parameters.insert(gate_name(stage), ones, Role::NormWeight)?;
            }
        }
        let head = Head::init(HEAD, stages.iter().sum(), simclr(self.head), parameters, stream)?;
        Ok(Box::new(MatSslLearner { temperature: self.temperature, gate: self.gate, head }))
    }
}

fn gate_name(stage: usize) -> String {
    format!("attn_module.gates.{stage}")
}

/// The method at work: its heads and its loss.
struct MatSslLearner {
    temperature: f64,
    gate: Gate,
    head: Head,
}

impl MatSslLearner {
    /// The gated features of the four stages, side by side: `[batch, sum of channels]`.
    fn fuse(&self, tape: &Tape<'_>, stages: &[Value; 4]) -> Result<Value> {
        let gated = stages.iter().enumerate().map(|(stage, features)| match self.gate {
            Gate::Paper => weigh_sigmoid(tape, features, &tape.parameter(&gate_name(stage))?),
            Gate::Code => weigh_by_sigmoid(tape, features, &tape.parameter(&gate_name(stage))?),
            Gate::None => Ok(features.clone()),
        });
        let gated = gated.collect::<Result<Vec<_>>>()?;
        tape.concat(&gated.iter().collect::<Vec<_>>())
    }
}

/// σ(x) = 1 / (1 + exp(−x)).
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// σ(F)·P.
fn weigh_sigmoid(tape: &Tape<'_>, features: &Value, gate: &Value) -> Result<Value> {
    let (sigma, weight) = (sigmoid(features.tensor())?, gate.tensor().clone());
    let output = sigma.broadcast_mul(&weight)?;
    Ok(tape.record(output, &[features, gate], move |gradient, _| {
        let slope = (&sigma * (1.0 - &sigma)?)?;
        let d_features = (gradient.broadcast_mul(&weight)? * slope)?;
        Ok(vec![Some(d_features), Some((gradient * sigma)?.sum(0)?)])
    }))
}

/// σ(P)·F.
fn weigh_by_sigmoid(tape: &Tape<'_>, features: &Value, gate: &Value) -> Result<Value> {
    let (sigma, weighed) = (sigmoid(gate.tensor())?, features.tensor().clone());
    let output = weighed.broadcast_mul(&sigma)?;
    Ok(tape.record(output, &[features, gate], move |gradient, _| {
        let slope = (&sigma * (1.0 - &sigma)?)?;
        let d_gate = ((gradient * weighed)?.sum(0)? * slope)?;
        Ok(vec![Some(gradient.broadcast_mul(&sigma)?), Some(d_gate)])
    }))
}

impl SslMethod for MatSslLearner {
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], _: Moment) -> Result<MethodLoss> {
        let mut embed = |view: &Tensor| -> Result<Tensor> {
            let fused = self.fuse(online.tape(), &online.pooled(view)?)?;
            online.leave(self.head.forward(online.tape(), &fused)?)
        };
        let embeddings = [embed(&views[0])?, embed(&views[1])?];
        let loss = nt_xent(&embeddings[0], &embeddings[1], self.temperature)?;
        Ok(MethodLoss { loss, parts: Vec::new(), embeddings })
    }

    fn columns(&self) -> &'static [&'static str] {
        match self.gate {
            Gate::None => &[],
            _ => MatSsl::COLUMNS,
        }
    }

    /// Mean and standard deviation of each stage's gate parameters.
    fn values(&self, parameters: &Parameters) -> Result<Vec<f64>> {
        let stages = self.columns().len() / 2;
        let each = (0..stages).map(|stage| moments(parameters.tensor(&gate_name(stage))?));
        Ok(each.collect::<Result<Vec<_>>>()?.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use matssl_tensor::Mode;
    use matssl_tensor::testing::{Inputs, check_gradients};

    #[test]
    fn each_operation_of_a_sigmoid_is_rounded_by_itself() {
        let x: Vec<f32> = (-400..400).map(|i| i as f32 * 0.251).chain([f32::INFINITY, f32::NEG_INFINITY]).collect();
        let found = sigmoid(&Tensor::new(&*x, &Device::Cpu).unwrap()).unwrap().to_vec1::<f32>().unwrap();
        for (x, found) in x.into_iter().zip(found) {
            assert_eq!(found.to_bits(), ((-x).exp() + 1.0).recip().to_bits(), "{x}");
        }
    }

    const CHANNELS: [usize; 4] = [2, 3, 4, 5];
    const GATES: [Gate; 3] = [Gate::Paper, Gate::Code, Gate::None];

    fn training(gate: Gate) -> MatSslLearner {
        let mut parameters = matssl_tensor::Parameters::new(DType::F64, &Device::Cpu);
        let head = Head::init(HEAD, 1, [], &mut parameters, &Stream::new(0, "test", 0, 0)).unwrap();
        MatSslLearner { temperature: 0.07, gate, head }
    }

    fn inputs() -> Inputs {
        let mut inputs = Inputs::new(3);
        for (stage, channels) in CHANNELS.into_iter().enumerate() {
            inputs.normal(&format!("stage {stage}"), &[3, channels]);
            inputs.normal(&gate_name(stage), &[channels]);
        }
        inputs
    }

    fn fuse(tape: &Tape<'_>, gate: Gate) -> Result<Value> {
        let stage = |stage: usize| tape.parameter(&format!("stage {stage}"));
        training(gate).fuse(tape, &[stage(0)?, stage(1)?, stage(2)?, stage(3)?])
    }

    #[test]
    fn each_gate_is_the_formula_it_is_named_after() {
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let parameters = inputs().parameters(DType::F64).unwrap();
        for gate in GATES {
            let formula = |f: f64, p: f64| match gate {
                Gate::Paper => sigma(f) * p,
                Gate::Code => sigma(p) * f,
                Gate::None => f,
            };
            let tape = Tape::new(&parameters, Mode::Train);
            let fused: Vec<Vec<f64>> = fuse(&tape, gate).unwrap().tensor().to_vec2().unwrap();
            assert_eq!((fused.len(), fused[0].len()), (3, 14));
            let features: Vec<Vec<f64>> = parameters.tensor("stage 2").unwrap().to_vec2().unwrap();
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
    fn gradients_of_features_and_gates_agree_with_finite_differences() {
        for gate in [Gate::Paper, Gate::Code] {
            check_gradients(&inputs(), |tape| fuse(tape, gate));
        }
    }
}
