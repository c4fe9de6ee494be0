//! The projection head: linear layers with batch norm.

use crate::nn::{Mode, Parameters, Role, Tape, Value, init};
use crate::random::Stream;
use candle_core::{DType, Result, Tensor, bail};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Sizes of a projection head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadSizes {
    /// Width of the hidden layer: 2048 in the authors' code.
    pub hidden: NonZeroUsize,
    /// Dimensions of the embedding: 128 (Chen et al. 2020, appendix B.9).
    pub output: NonZeroUsize,
}

impl Default for HeadSizes {
    fn default() -> Self {
        HeadSizes {
            hidden: const { NonZeroUsize::new(2048).unwrap() },
            output: const { NonZeroUsize::new(128).unwrap() },
        }
    }
}

/// SimCLR's head as lightly has it (`SimCLRProjectionHead`, two layers): linear without bias, batch norm, ReLU, linear
/// without bias, batch norm. Its parameters carry lightly's names below `projection_head.`.
#[derive(Debug)]
pub(crate) struct ProjectionHead;

/// Places in lightly's `nn.Sequential`: linear, batch norm, ReLU, linear, batch norm.
const LAYERS: [(&str, &str); 2] = [
    ("projection_head.layers.0", "projection_head.layers.1"),
    ("projection_head.layers.3", "projection_head.layers.4"),
];

impl ProjectionHead {
    /// Inserts the parameters of a head for features of `input` dimensions, drawn as PyTorch draws them: weights
    /// uniform in ±1/√(inputs), batch norms at scale 1 and shift 0.
    ///
    /// # Errors
    /// If the names are taken.
    pub(crate) fn init(input: usize, sizes: HeadSizes, parameters: &mut Parameters, stream: &Stream) -> Result<Self> {
        let widths = [(input, sizes.hidden.get()), (sizes.hidden.get(), sizes.output.get())];
        for (layer, ((linear, norm), (input, output))) in LAYERS.into_iter().zip(widths).enumerate() {
            let mut stream = stream.child(layer as u64);
            let bound = 1.0 / (input as f64).sqrt();
            let weight: Vec<f64> = (0..input * output).map(|_| stream.range(-bound, bound)).collect();
            let (dtype, device) = (parameters.dtype(), parameters.device().clone());
            let weight = Tensor::from_vec(weight, (output, input), &device)?.to_dtype(dtype)?;
            parameters.insert(format!("{linear}.weight"), weight, Role::LinearWeight)?;
            init::batch_norm(parameters, norm, output)?;
        }
        Ok(ProjectionHead)
    }

    /// Embeddings `[batch, output]` of features `[batch, input]`. In training they are normalised by the batch's
    /// statistics, and the running ones move, once a call, as in PyTorch.
    ///
    /// # Errors
    /// If a training batch holds fewer than two rows: it has no variance then.
    pub(crate) fn forward(&self, tape: &Tape<'_>, features: &Value) -> Result<Value> {
        let mut x = features.clone();
        for (layer, (linear, norm)) in LAYERS.into_iter().enumerate() {
            if tape.mode() == Mode::Train && x.tensor().dim(0)? < 2 {
                bail!("batch norm `{norm}` needs at least two images in a batch");
            }
            x = tape.linear(&x, &format!("{linear}.weight"), None)?;
            x = tape.batch_norm(&x, norm, None, layer == 0)?;
        }
        Ok(x)
    }
}

/// Mean of a parameter's entries, in float64: for histories.
pub(crate) fn mean(tensor: &Tensor) -> Result<f64> {
    tensor.detach().to_dtype(DType::F64)?.mean_all()?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{Inputs, check_gradients};
    use candle_core::Device;

    fn sizes() -> HeadSizes {
        HeadSizes { hidden: NonZeroUsize::new(5).unwrap(), output: NonZeroUsize::new(3).unwrap() }
    }

    fn head(input: usize) -> (ProjectionHead, Parameters) {
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let head = ProjectionHead::init(input, sizes(), &mut parameters, &Stream::new(1, "head", 0, 0)).unwrap();
        (head, parameters)
    }

    fn features() -> Tensor {
        let mut stream = Stream::new(2, "features", 0, 0);
        Tensor::from_vec((0..24).map(|_| stream.normal()).collect::<Vec<f64>>(), (6, 4), &Device::Cpu).unwrap()
    }

    #[test]
    fn every_gradient_agrees_with_finite_differences() {
        let mut inputs = Inputs::new(5);
        inputs.normal("x", &[6, 4]);
        for ((linear, norm), [from, to]) in LAYERS.into_iter().zip([[4, 5], [5, 3]]) {
            inputs.normal(&format!("{linear}.weight"), &[to, from]);
            inputs.normal(&format!("{norm}.weight"), &[to]);
            inputs.normal(&format!("{norm}.bias"), &[to]);
            inputs.buffer(&format!("{norm}.running_mean"), &[to], 0.0);
            inputs.buffer(&format!("{norm}.running_var"), &[to], 1.0);
            inputs.count(&format!("{norm}.num_batches_tracked"));
        }
        check_gradients(&inputs, |tape| ProjectionHead.forward(tape, &tape.parameter("x")?));
    }

    #[test]
    fn running_statistics_move_as_in_pytorch() {
        let (head, parameters) = head(4);
        let tape = Tape::new(&parameters, Mode::Train);
        head.forward(&tape, &tape.constant(features())).unwrap();
        let hidden = features().matmul(&parameters.tensor("projection_head.layers.0.weight").unwrap().t().unwrap());
        let columns: Vec<Vec<f64>> = hidden.unwrap().t().unwrap().to_vec2().unwrap();
        let running = |name: &str| -> Vec<f64> {
            parameters.tensor(&format!("projection_head.layers.1.{name}")).unwrap().to_vec1().unwrap()
        };
        for (column, (mean, variance)) in
            columns.iter().zip(running("running_mean").into_iter().zip(running("running_var")))
        {
            let m = column.iter().sum::<f64>() / 6.0;
            let v = column.iter().map(|x| (x - m).powi(2)).sum::<f64>() / 5.0;
            assert!((mean - 0.1 * m).abs() < 1e-12 && (variance - (0.9 + 0.1 * v)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_single_row_is_refused() {
        let (head, parameters) = head(4);
        let tape = Tape::new(&parameters, Mode::Train);
        let one = tape.constant(features().narrow(0, 0, 1).unwrap());
        let error = head.forward(&tape, &one).unwrap_err().to_string();
        assert!(error.contains("at least two images"), "{error}");
    }
}
