//! DINOv2's vision transformer: its map of features, and the small heads on it. What PyTorch computes is in `vit.json`, by
//! `generate_vit.py`.

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

/// The transformer of a case.
#[derive(Debug, Deserialize)]
struct Vit {
    arch: String,
    width: usize,
    depth: usize,
    heads: usize,
    grid: usize,
    batch: usize,
    size: [usize; 2],
}

impl Vit {
    fn config(&self) -> EncoderConfig {
        let Vit { arch, width, depth, heads, grid, .. } = self;
        EncoderConfig::read(json!({ "arch": arch, "width": width, "depth": depth, "heads": heads, "grid": grid }))
            .expect("a transformer")
    }

    fn name(&self) -> String {
        format!("{} at {:?}", self.arch, self.size)
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        let [height, width] = self.size;
        hashed::tensor("x", &[self.batch, height, width, 3], PLAIN, dtype)
    }
}

#[derive(Debug, Deserialize)]
struct Encoder {
    #[serde(flatten)]
    vit: Vit,
}

impl Encoder {
    fn features(&self, tape: &Tape<'_>) -> Result<Value> {
        let x = tape.constant(self.vit.image(tape.parameters().dtype())?);
        nn::Encoder::new(self.vit.config()).deepest(tape, "", &x)
    }
}

impl Network for Encoder {
    fn name(&self) -> String {
        self.vit.name()
    }

    fn weights(&self) -> String {
        self.vit.arch.clone()
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        nn::Encoder::new(self.vit.config()).init(parameters, "", &Stream::new(0, "parity", 0, 0))
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        self.vit.image(dtype)
    }

    fn infer(&self, parameters: &Parameters) -> Result<Outputs> {
        let map = self.features(&Tape::new(parameters, Mode::Eval))?;
        Ok([("feature0".to_owned(), map.tensor().clone())].into())
    }

    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)> {
        let tape = Tape::new(parameters, mode);
        let map = self.features(&tape)?;
        let found = [("feature0".to_owned(), map.tensor().clone())].into();
        let scale = 1.0 / (map.tensor().elem_count() as f64).sqrt();
        let seed = (hashed::tensor("seed0", map.tensor().dims(), PLAIN, map.tensor().dtype())? * scale)?;
        Ok((found, tape.backward(vec![(map, seed)])?))
    }
}

#[derive(Debug, Deserialize)]
struct Head {
    #[serde(flatten)]
    vit: Vit,
    architecture: Architecture,
    classes: usize,
}

impl Head {
    fn net(&self) -> SegmentationNetwork {
        SegmentationNetwork::new(SegmentationConfig {
            architecture: self.architecture,
            encoder: self.vit.config(),
            decoder_channels: None,
            transformer: None,
            classes: self.classes,
        })
    }
}

impl Network for Head {
    fn name(&self) -> String {
        format!("{}, {}", self.vit.name(), self.architecture.name())
    }

    fn weights(&self) -> String {
        self.name()
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        self.net().init(parameters, &Stream::new(0, "parity", 0, 0))
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        self.vit.image(dtype)
    }

    fn infer(&self, parameters: &Parameters) -> Result<Outputs> {
        let tape = Tape::new(parameters, Mode::Eval);
        let logits = self.net().forward(&tape, &tape.constant(self.image(parameters.dtype())?))?;
        Ok([("logits".to_owned(), logits.tensor().clone())].into())
    }

    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)> {
        let tape = Tape::new(parameters, mode);
        let logits = self.net().forward(&tape, &tape.constant(self.image(parameters.dtype())?))?;
        let [height, width] = self.vit.size;
        let target = hashed::labels(self.classes, [self.vit.batch, height, width], true)?;
        let dice = losses::dice(logits.tensor(), &target, Some(255))?;
        let loss = Tensor::new(dice.loss, &Device::Cpu)?;
        let outputs = [("logits".to_owned(), logits.tensor().clone()), ("loss".to_owned(), loss)].into();
        Ok((outputs, tape.backward(vec![(logits, dice.gradient)])?))
    }
}

const FIXTURES: &str = include_str!("../vit.json");

pub(super) static PART: Part = Part::new("vision transformers", |done| {
    super::sections_of::<Encoder>(FIXTURES, "encoders", done);
    super::sections_of::<Head>(FIXTURES, "segmentations", done);
});

#[test]
fn vision_transformers_are_dinov2s() {
    hold(PART.sections());
}
