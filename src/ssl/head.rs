//! The projection head, in plain candle: linear layers with batch norm, trained by candle's own autograd.

use crate::nn::{Parameters, Role};
use crate::random::Stream;
use candle_core::{DType, Result, Tensor, bail};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// PyTorch's defaults for `BatchNorm1d`.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

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
            let (ones, zeros) = (Tensor::ones(output, dtype, &device)?, Tensor::zeros(output, dtype, &device)?);
            parameters.insert(format!("{norm}.weight"), ones.clone(), Role::NormWeight)?;
            parameters.insert(format!("{norm}.bias"), zeros.clone(), Role::NormBias)?;
            parameters.insert(format!("{norm}.running_mean"), zeros, Role::Buffer)?;
            parameters.insert(format!("{norm}.running_var"), ones, Role::Buffer)?;
        }
        Ok(ProjectionHead)
    }

    /// Embeddings `[batch, output]` of features `[batch, input]`, normalised by the batch's statistics. Moves the
    /// running statistics, once a call, as PyTorch does in training.
    ///
    /// # Errors
    /// If the batch holds fewer than two rows: it has no variance then.
    pub(crate) fn forward(&self, parameters: &Parameters, features: &Tensor) -> Result<Tensor> {
        let mut x = features.clone();
        for (layer, (linear, norm)) in LAYERS.into_iter().enumerate() {
            if layer > 0 {
                x = relu(&x)?;
            }
            x = x.matmul(&parameters.tensor(&format!("{linear}.weight"))?.t()?)?;
            x = batch_norm(parameters, norm, &x)?;
        }
        Ok(x)
    }
}

/// ReLU with PyTorch's derivative at 0, which is 0 (candle's own says 1).
fn relu(x: &Tensor) -> Result<Tensor> {
    x * x.gt(0f64)?.to_dtype(x.dtype())?
}

fn batch_norm(parameters: &Parameters, name: &str, x: &Tensor) -> Result<Tensor> {
    let rows = x.dim(0)?;
    if rows < 2 {
        bail!("batch norm `{name}` needs at least two images in a batch");
    }
    let mean = x.mean_keepdim(0)?;
    let deviation = x.broadcast_sub(&mean)?;
    let variance = deviation.sqr()?.mean_keepdim(0)?;
    let unbiased = rows as f64 / (rows - 1) as f64;
    for (buffer, value) in [("running_mean", &mean), ("running_var", &(&variance * unbiased)?)] {
        let running = &parameters.get(&format!("{name}.{buffer}"))?.var;
        let value = value.detach().squeeze(0)?;
        running.set(&((running.as_detached_tensor() * (1.0 - MOMENTUM))? + (value * MOMENTUM)?)?)?;
    }
    let normalized = deviation.broadcast_div(&(variance + EPSILON)?.sqrt()?)?;
    normalized
        .broadcast_mul(parameters.tensor(&format!("{name}.weight"))?)?
        .broadcast_add(parameters.tensor(&format!("{name}.bias"))?)
}

/// Mean of a parameter's entries, in float64: for histories.
pub(crate) fn mean(tensor: &Tensor) -> Result<f64> {
    tensor.detach().to_dtype(DType::F64)?.mean_all()?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn head(input: usize) -> (ProjectionHead, Parameters) {
        let sizes = HeadSizes { hidden: NonZeroUsize::new(5).unwrap(), output: NonZeroUsize::new(3).unwrap() };
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let head = ProjectionHead::init(input, sizes, &mut parameters, &Stream::new(1, "head", 0, 0)).unwrap();
        (head, parameters)
    }

    fn features() -> Tensor {
        let mut stream = Stream::new(2, "features", 0, 0);
        Tensor::from_vec((0..24).map(|_| stream.normal()).collect::<Vec<f64>>(), (6, 4), &Device::Cpu).unwrap()
    }

    #[test]
    fn every_gradient_agrees_with_finite_differences() {
        let (head, parameters) = head(4);
        let input = Var::from_tensor(&features()).unwrap();
        // A loss that is not blind to the last batch norm (whose outputs' plain squares are constant).
        let loss = |x: &Tensor| head.forward(&parameters, x).unwrap().sin().unwrap().sum_all().unwrap();
        let gradients = loss(&input).backward().unwrap();
        let mut checked: Vec<(&str, &Var)> = parameters.trainable().map(|(name, p)| (name, &p.var)).collect();
        checked.push(("input", &input));
        assert_eq!(checked.len(), 7);
        for (name, var) in checked {
            let analytic: Vec<f64> = gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let value: Vec<f64> = var.as_detached_tensor().flatten_all().unwrap().to_vec1().unwrap();
            let shape = var.shape().clone();
            for i in 0..value.len() {
                let at = |step: f64| -> f64 {
                    let mut moved = value.clone();
                    moved[i] += step;
                    var.set(&Tensor::from_vec(moved, shape.clone(), &Device::Cpu).unwrap()).unwrap();
                    loss(&input).to_scalar().unwrap()
                };
                let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                at(0.0);
                assert!((analytic[i] - numeric).abs() < 1e-7, "{name}[{i}]: {} {numeric}", analytic[i]);
            }
        }
    }

    #[test]
    fn running_statistics_move_as_in_pytorch() {
        let (head, parameters) = head(4);
        head.forward(&parameters, &features()).unwrap();
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
    fn relu_has_no_slope_at_zero() {
        let x = Var::new(&[-1f32, 0.0, 2.0], &Device::Cpu).unwrap();
        let y = relu(&x).unwrap();
        let gradient = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((y.to_vec1::<f32>().unwrap(), gradient), (vec![0.0, 0.0, 2.0], vec![0.0, 0.0, 1.0]));
    }

    #[test]
    fn a_single_row_is_refused() {
        let (head, parameters) = head(4);
        let error = head.forward(&parameters, &features().narrow(0, 0, 1).unwrap()).unwrap_err().to_string();
        assert!(error.contains("at least two images"), "{error}");
    }
}
