//! U-Net and U-Net++ with the Dice loss; a class is absent, labels are ignored.

use super::{Network, Outputs};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Device, Result, Tensor};
use matssl_run::nn::{
    Arch, Architecture, Gradients, Mode, Parameters, ResNetConfig, SegmentationConfig, SegmentationNetwork, Tape,
    Variant, losses,
};
use matssl_run::random::Stream;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Segmentation {
    pub(crate) architecture: Architecture,
    pub(crate) arch: Arch,
    pub(crate) classes: usize,
    pub(crate) batch: usize,
    pub(crate) size: [usize; 2],
}

impl Segmentation {
    pub(crate) fn net(&self) -> SegmentationNetwork {
        SegmentationNetwork::new(SegmentationConfig {
            architecture: self.architecture,
            encoder: ResNetConfig { arch: self.arch, width: 64, variant: Variant::V15, in_channels: 3 }.into(),
            decoder_channels: Some([256, 128, 64, 32, 16]),
            transformer: None,
            classes: self.classes,
        })
    }
}

impl Network for Segmentation {
    fn name(&self) -> String {
        format!("{}, {:?}", self.architecture.name(), self.arch).replace("ResNet", "ResNet-")
    }

    fn weights(&self) -> String {
        self.name()
    }

    fn init(&self, parameters: &mut Parameters) -> Result<()> {
        self.net().init(parameters, &Stream::new(0, "parity", 0, 0))
    }

    fn image(&self, dtype: DType) -> Result<Tensor> {
        let [height, width] = self.size;
        hashed::tensor("x", &[self.batch, height, width, 3], PLAIN, dtype)
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

pub(super) static PART: Part =
    Part::new("segmentation networks", |done| super::sections::<Segmentation>("segmentations", done));

#[test]
fn unets_are_smps() {
    hold(PART.sections());
}
