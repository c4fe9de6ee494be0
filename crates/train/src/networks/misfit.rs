//! What stands for a network whose architecture cannot stand on its encoder.

use super::segmentation_model::SegmentationModel;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// No network; says why.
#[derive(Debug)]
pub(super) struct Misfit(pub(super) String);

impl SegmentationModel for Misfit {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        Vec::new()
    }

    fn init(&self, _: &mut Parameters, _: &Stream) -> Result<()> {
        bail!("{}", self.0)
    }

    fn forward(&self, _: &Tape<'_>, _: &Value, _: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value> {
        bail!("{}", self.0)
    }
}
