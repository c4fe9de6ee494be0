//! Initial values. Each tensor draws from a stream of its own, named after the parameter, so neither the order in
//! which a network is built nor what else it holds changes a number.

pub use super::name::join;
use super::{Parameters, Role};
use candle_core::{DType, Result, Tensor};
use matssl_base::random::Stream;
use rayon::prelude::*;

/// Numbers drawn from one stream; the next have a stream of their own, so that cores share the work.
const CHUNK: usize = 1 << 14;

/// How the weights of a convolution are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvInit {
    /// Normal with standard deviation √(2 / fan out): torchvision's ResNets (He et al. 2015).
    KaimingNormalFanOut,
    /// Uniform within ±√(6 / fan in): smp's decoders.
    KaimingUniformFanIn,
    /// Uniform within ±√(6 / (fan in + fan out)): smp's heads (Glorot & Bengio 2010).
    XavierUniform,
}

/// Adds the weight `name` of a convolution with a square kernel, `[kernel, kernel, in, out]`.
///
/// # Errors
/// If the name is taken.
pub fn conv_weight(
    parameters: &mut Parameters,
    name: &str,
    [kernel, channels_in, channels_out]: [usize; 3],
    how: ConvInit,
    stream: &Stream,
) -> Result<()> {
    let stream = named(stream, name);
    let taps = kernel * kernel;
    let (fan_in, fan_out) = ((channels_in * taps) as f64, (channels_out * taps) as f64);
    let deviation = (2.0 / fan_out).sqrt();
    let bound = match how {
        ConvInit::XavierUniform => (6.0 / (fan_in + fan_out)).sqrt(),
        _ => (6.0 / fan_in).sqrt(),
    };
    let shape = (kernel, kernel, channels_in, channels_out);
    if parameters.starts_as_zeros() {
        let zeros = Tensor::zeros(shape, parameters.dtype(), parameters.device())?;
        return parameters.insert(name, zeros, Role::ConvWeight);
    }
    let mut values = vec![0.0; taps * channels_in * channels_out];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(index, values)| {
        let mut stream = stream.child(index as u64);
        values.fill_with(|| match how {
            ConvInit::KaimingNormalFanOut => deviation * stream.normal(),
            _ => stream.range(-bound, bound),
        });
    });
    let weight = Tensor::from_vec(values, shape, parameters.device())?.to_dtype(parameters.dtype())?;
    parameters.insert(name, weight, Role::ConvWeight)
}

/// Adds the weight `prefix.weight` `[kernel, kernel, in, out]` of a convolution, and its `prefix.bias` if it has one: both uniform
/// within ±1/√fan in, as PyTorch's `nn.Conv2d`.
///
/// # Errors
/// If a name is taken.
pub fn conv(
    parameters: &mut Parameters,
    prefix: &str,
    [kernel, channels_in, channels_out]: [usize; 3],
    bias: bool,
    stream: &Stream,
) -> Result<()> {
    let bound = 1.0 / ((channels_in * kernel * kernel) as f64).sqrt();
    let mut drawn = |name: &str, shape: &[usize], role: Role| {
        let name = join(prefix, name);
        let mut stream = named(stream, &name);
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.range(-bound, bound)).collect();
        let values = Tensor::from_vec(values, shape, parameters.device())?.to_dtype(parameters.dtype())?;
        parameters.insert(name, values, role)
    };
    drawn("weight", &[kernel, kernel, channels_in, channels_out], Role::ConvWeight)?;
    if bias { drawn("bias", &[channels_out], Role::Bias) } else { Ok(()) }
}

/// Adds the weight `prefix.weight` `[out, in]` of a linear layer, and its `prefix.bias` if it has one: both uniform within
/// ±1/√in, as PyTorch's `nn.Linear`.
///
/// # Errors
/// If a name is taken.
pub fn linear(
    parameters: &mut Parameters,
    prefix: &str,
    [inputs, outputs]: [usize; 2],
    bias: bool,
    stream: &Stream,
) -> Result<()> {
    let (dtype, device) = (parameters.dtype(), parameters.device().clone());
    let bound = 1.0 / (inputs as f64).sqrt();
    let drawn = |name: &str, count: usize| {
        let stream = named(stream, name);
        let mut values = vec![0.0; count];
        values.par_chunks_mut(CHUNK).enumerate().for_each(|(index, values)| {
            let mut stream = stream.child(index as u64);
            values.fill_with(|| stream.range(-bound, bound));
        });
        Tensor::from_vec(values, count, &device)?.to_dtype(dtype)
    };
    let weight = join(prefix, "weight");
    let drawn_weight = drawn(&weight, inputs * outputs)?.reshape((outputs, inputs))?;
    parameters.insert(weight, drawn_weight, Role::LinearWeight)?;
    if bias {
        let bias = join(prefix, "bias");
        let drawn_bias = drawn(&bias, outputs)?;
        parameters.insert(bias, drawn_bias, Role::Bias)?;
    }
    Ok(())
}

/// Standard deviation of the weights of transformers.
const TRANSFORMER_DEVIATION: f64 = 0.02;
/// Where their normal distribution is cut, as timm's and Swin's `trunc_normal_` by default.
const TRANSFORMER_CUT: f64 = 2.0;

/// Adds the weight `prefix.weight` `[out, in]` of a linear layer of a transformer, normal with standard deviation 0.02 and cut
/// at ±2, and its `prefix.bias` of zeros if it has one (Liu et al. 2021, Swin's `_init_weights`).
///
/// # Errors
/// If a name is taken.
pub fn transformer_linear(
    parameters: &mut Parameters,
    prefix: &str,
    [inputs, outputs]: [usize; 2],
    bias: bool,
    stream: &Stream,
) -> Result<()> {
    truncated_normal(parameters, &join(prefix, "weight"), &[outputs, inputs], Role::LinearWeight, stream)?;
    if bias {
        let zeros = Tensor::zeros(outputs, parameters.dtype(), parameters.device())?;
        parameters.insert(join(prefix, "bias"), zeros, Role::Bias)?;
    }
    Ok(())
}

/// Adds the parameter `name` of `shape`, normal with standard deviation 0.02 and cut at ±2: also position embeddings and tables of
/// biases.
///
/// # Errors
/// If the name is taken.
pub fn truncated_normal(
    parameters: &mut Parameters,
    name: &str,
    shape: &[usize],
    role: Role,
    stream: &Stream,
) -> Result<()> {
    if parameters.starts_as_zeros() {
        let zeros = Tensor::zeros(shape, parameters.dtype(), parameters.device())?;
        return parameters.insert(name, zeros, role);
    }
    let stream = named(stream, name);
    let mut values = vec![0.0; shape.iter().product()];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(index, values)| {
        let mut stream = stream.child(index as u64);
        values.fill_with(|| {
            loop {
                let value = TRANSFORMER_DEVIATION * stream.normal();
                if value.abs() <= TRANSFORMER_CUT {
                    return value;
                }
            }
        });
    });
    let values = Tensor::from_vec(values, shape, parameters.device())?.to_dtype(parameters.dtype())?;
    parameters.insert(name, values, role)
}

/// Adds a layer norm over `channels`: weight 1, bias 0.
///
/// # Errors
/// If a name is taken.
pub fn layer_norm(parameters: &mut Parameters, prefix: &str, channels: usize) -> Result<()> {
    let (dtype, device) = (parameters.dtype(), parameters.device().clone());
    let (zeros, ones) = (Tensor::zeros(channels, dtype, &device)?, Tensor::ones(channels, dtype, &device)?);
    parameters.insert(join(prefix, "weight"), ones, Role::NormWeight)?;
    parameters.insert(join(prefix, "bias"), zeros, Role::NormBias)
}

/// Adds a batch norm over `channels`: weight 1, bias 0, and running statistics that have seen no batch.
///
/// # Errors
/// If a name is taken.
pub fn batch_norm(parameters: &mut Parameters, prefix: &str, channels: usize) -> Result<()> {
    let (dtype, device) = (parameters.dtype(), parameters.device().clone());
    let (zeros, ones) = (Tensor::zeros(channels, dtype, &device)?, Tensor::ones(channels, dtype, &device)?);
    parameters.insert(join(prefix, "weight"), ones, Role::NormWeight)?;
    parameters.insert(join(prefix, "bias"), zeros, Role::NormBias)?;
    plain_batch_norm(parameters, prefix, channels)
}

/// Adds the running statistics of a batch norm, which has no scale and shift.
///
/// # Errors
/// If a name is taken.
pub fn plain_batch_norm(parameters: &mut Parameters, prefix: &str, channels: usize) -> Result<()> {
    let (dtype, device) = (parameters.dtype(), parameters.device().clone());
    let (zeros, ones) = (Tensor::zeros(channels, dtype, &device)?, Tensor::ones(channels, dtype, &device)?);
    parameters.insert(join(prefix, "running_mean"), zeros, Role::Buffer)?;
    parameters.insert(join(prefix, "running_var"), ones, Role::Buffer)?;
    parameters.insert(join(prefix, "num_batches_tracked"), Tensor::zeros((), DType::I64, &device)?, Role::Buffer)
}

/// The part of `stream` that belongs to the parameter `name`.
fn named(stream: &Stream, name: &str) -> Stream {
    let hash = blake3::hash(name.as_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&hash.as_bytes()[..8]);
    stream.child(u64::from_le_bytes(word))
}
