//! Swin's stages, Swin-Unet and CS-UNet. What PyTorch computes is in `swin.json`, by `generate_swin.py`.

use super::{Network, Outputs};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::{Held, hold};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{self, EncoderConfig, Gradients, Mode, Parameters, SegmentationNetwork, Tape, Value};
use matssl_run::random::Stream;
use serde::Deserialize;
use serde_json::json;

/// A network as the fixture describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Swin {
    pub(crate) kind: String,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) depths: [usize; 4],
    pub(crate) window: usize,
    pub(crate) mlp: String,
    pub(crate) arch: Option<String>,
    pub(crate) batch: usize,
    pub(crate) size: [usize; 2],
}

/// Of a segmentation network.
const CLASSES: usize = 3;

impl Swin {
    /// The transformer's sizes, without random drops: PyTorch draws others.
    fn sizes(&self) -> serde_json::Value {
        let Swin { width, heads, depths, window, mlp, .. } = self;
        json!({ "width": width, "heads": heads, "depths": depths, "window": window, "mlp": mlp, "drop_path": 0.0 })
    }

    fn encoder(&self) -> EncoderConfig {
        let mut table = self.sizes();
        table["arch"] = "swin-tiny".into();
        EncoderConfig::read(table).expect("a transformer")
    }

    fn segmentation(&self) -> SegmentationNetwork {
        let mut config = json!({ "architecture": self.kind, "classes": CLASSES });
        match &self.arch {
            Some(arch) => {
                config["encoder"] = json!({ "arch": arch });
                config["transformer"] = self.sizes();
            }
            None => config["encoder"] = serde_json::to_value(self.encoder()).expect("JSON"),
        }
        SegmentationNetwork::new(serde_json::from_value(config).expect("a network"))
    }

    /// As a file of its weights says it.
    pub(crate) fn config(&self) -> serde_json::Value {
        let config = match self.kind.as_str() {
            "swin" => serde_json::to_value(self.encoder()),
            _ => serde_json::to_value(self.segmentation().config()),
        };
        config.expect("JSON")
    }

    fn outputs(&self, tape: &Tape<'_>) -> Result<Vec<Value>> {
        let x = tape.constant(self.image(tape.parameters().dtype())?);
        match self.kind.as_str() {
            "swin" => Ok(nn::Encoder::new(self.encoder()).stages(tape, "", &x)?.into()),
            _ => Ok(vec![self.segmentation().forward(tape, &x)?]),
        }
    }
}

fn named(outputs: &[Value]) -> Outputs {
    (0..).zip(outputs).map(|(level, value)| (format!("feature{level}"), value.tensor().clone())).collect()
}

impl Network for Swin {
    /// A gradient of a norm or bias is a sum over all tokens, and nearly cancels: some are up to 4 times as far off as PyTorch's, others
    /// are nearer.
    fn gradients_held(&self) -> Held {
        Held::Median
    }

    fn name(&self) -> String {
        let Swin { kind, depths, window, mlp, size: [height, width], .. } = self;
        format!("{kind} at {height}×{width}, windows of {window}, depths {depths:?}, {mlp} MLP")
    }

    fn weights(&self) -> String {
        self.name()
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        let stream = Stream::new(0, "parity", 0, 0);
        match self.kind.as_str() {
            "swin" => nn::Encoder::new(self.encoder()).init(parameters, "", &stream),
            _ => self.segmentation().init(parameters, &stream),
        }
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        let [height, width] = self.size;
        hashed::tensor("x", &[self.batch, height, width, 3], PLAIN, dtype)
    }

    fn infer(&self, parameters: &Parameters) -> Result<Outputs> {
        Ok(named(&self.outputs(&Tape::new(parameters, Mode::Eval))?))
    }

    /// The gradients of Σ ⟨feature, seed⟩ / √elements over the outputs, seeds hashed.
    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)> {
        let tape = Tape::new(parameters, mode);
        let outputs = self.outputs(&tape)?;
        let found = named(&outputs);
        let seed = |(level, output): (usize, Value)| {
            let (shape, dtype) = (output.tensor().dims(), output.tensor().dtype());
            let scale = 1.0 / (output.tensor().elem_count() as f64).sqrt();
            let seed = (hashed::tensor(&format!("seed{level}"), shape, PLAIN, dtype)? * scale)?;
            Ok((output, seed))
        };
        let seeds = outputs.into_iter().enumerate().map(seed).collect::<Result<Vec<_>>>()?;
        Ok((found, tape.backward(seeds)?))
    }
}

pub(super) static PART: Part = Part::new("transformers of windows", |done| {
    super::sections_of::<Swin>(include_str!("../swin.json"), "swins", done)
});

#[test]
fn swins_are_pytorchs() {
    hold(PART.sections());
}
