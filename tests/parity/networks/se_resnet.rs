//! SE-ResNets: the features of every stage, and U-Nets on them. What segmentation_models_pytorch computes is in `se_resnet.json`, by
//! `generate_plain.py`.

use super::{Network, Outputs};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Device, Result, Tensor};
use matssl_run::nn::{
    self, Architecture, EncoderConfig, Gradients, Mode, Parameters, SegmentationConfig, SegmentationNetwork, Tape,
    Value, losses,
};
use matssl_run::random::Stream;
use serde::Deserialize;
use serde_json::json;

fn config(arch: &str, width: usize) -> EncoderConfig {
    let arch = if arch == "se_resnet50" { "se-resnet50" } else { "se-resnext50" };
    EncoderConfig::read(json!({ "arch": arch, "width": width })).expect("an encoder")
}

fn image(batch: usize, [height, width]: [usize; 2], dtype: DType) -> Result<Tensor> {
    hashed::tensor("x", &[batch, height, width, 3], PLAIN, dtype)
}

#[derive(Debug, Deserialize)]
struct Encoder {
    arch: String,
    width: usize,
    batch: usize,
    size: [usize; 2],
}

impl Encoder {
    fn net(&self) -> nn::Encoder {
        nn::Encoder::new(config(&self.arch, self.width))
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
        format!("{} of width {}", self.arch, self.width)
    }

    fn weights(&self) -> String {
        self.name()
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        self.net().init(parameters, "", &Stream::new(0, "parity", 0, 0))
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        image(self.batch, self.size, dtype)
    }

    fn infer(&self, parameters: &Parameters) -> Result<Outputs> {
        Ok(outputs(&self.features(&Tape::new(parameters, Mode::Eval))?))
    }

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

#[derive(Debug, Deserialize)]
struct Unet {
    architecture: Architecture,
    arch: String,
    classes: usize,
    batch: usize,
    size: [usize; 2],
}

impl Unet {
    fn net(&self) -> SegmentationNetwork {
        SegmentationNetwork::new(SegmentationConfig {
            architecture: self.architecture,
            encoder: config(&self.arch, 64),
            decoder_channels: Some([256, 128, 64, 32, 16]),
            transformer: None,
            classes: self.classes,
        })
    }
}

impl Network for Unet {
    fn name(&self) -> String {
        format!("{}, {}", self.architecture.name(), self.arch)
    }

    fn weights(&self) -> String {
        self.name()
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        self.net().init(parameters, &Stream::new(0, "parity", 0, 0))
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        image(self.batch, self.size, dtype)
    }

    fn infer(&self, parameters: &Parameters) -> Result<Outputs> {
        let tape = Tape::new(parameters, Mode::Eval);
        let logits = self.net().forward(&tape, &tape.constant(self.image(parameters.dtype())?))?;
        Ok([("logits".to_owned(), logits.tensor().clone())].into())
    }

    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)> {
        let tape = Tape::new(parameters, mode);
        let logits = self.net().forward(&tape, &tape.constant(self.image(parameters.dtype())?))?;
        let [height, width] = self.size;
        let target = hashed::labels(self.classes, [self.batch, height, width], true)?;
        let dice = losses::dice(logits.tensor(), &target, Some(255))?;
        let loss = Tensor::new(dice.loss, &Device::Cpu)?;
        let outputs = [("logits".to_owned(), logits.tensor().clone()), ("loss".to_owned(), loss)].into();
        Ok((outputs, tape.backward(vec![(logits, dice.gradient)])?))
    }
}

const FIXTURES: &str = include_str!("../se_resnet.json");

pub(super) static PART: Part = Part::new("SE-ResNets", |done| {
    // On a GPU they are refused.
    if !hashed::is_on_gpu() {
        super::sections_of::<Encoder>(FIXTURES, "encoders", done);
        super::sections_of::<Unet>(FIXTURES, "segmentations", done);
    }
});

#[test]
fn se_resnets_are_smps() {
    hold(PART.sections());
}
