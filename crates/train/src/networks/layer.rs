//! The layers of a transformer with their parameters: one list from which both names and initial values come.

use candle_core::Result;
use matssl_base::random::Stream;
use matssl_tensor::init::{self, join};
use matssl_tensor::{Parameters, Role};

/// A layer with parameters, and where they lie.
#[derive(Clone, Debug)]
pub(super) enum Layer {
    /// A linear layer `[out, in]`.
    Linear { name: String, channels: [usize; 2], bias: bool },
    /// A layer norm.
    Norm { name: String, channels: usize },
    /// A table of relative position biases, `[rows, heads]`.
    Table { name: String, shape: [usize; 2] },
    /// A convolution with a square kernel.
    Conv { name: String, kernel: usize, channels: [usize; 2], bias: bool },
}

impl Layer {
    /// Names and shapes (PyTorch's layout) of its parameters, in the order of [`Layer::init`].
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let with_bias = |name: &str, weight: Vec<usize>, bias: bool, out: usize| {
            let bias = bias.then(|| (join(name, "bias"), vec![out]));
            [(join(name, "weight"), weight)].into_iter().chain(bias).collect()
        };
        match self {
            Layer::Linear { name, channels: [from, to], bias } => with_bias(name, vec![*to, *from], *bias, *to),
            Layer::Norm { name, channels } => with_bias(name, vec![*channels], true, *channels),
            Layer::Table { name, shape } => vec![(name.clone(), shape.to_vec())],
            Layer::Conv { name, kernel, channels: [from, to], bias } => {
                with_bias(name, vec![*to, *from, *kernel, *kernel], *bias, *to)
            }
        }
    }

    /// Adds its parameters below `prefix` with Swin's initial values: normal with deviation 0.02 for linear layers and tables,
    /// biases 0, layer norms 1 and 0; for convolutions those of PyTorch.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn init(&self, parameters: &mut Parameters, prefix: &str, stream: &Stream) -> Result<()> {
        match self {
            Layer::Linear { name, channels, bias } => {
                init::transformer_linear(parameters, &join(prefix, name), *channels, *bias, stream)
            }
            Layer::Norm { name, channels } => init::layer_norm(parameters, &join(prefix, name), *channels),
            Layer::Table { name, shape } => {
                init::truncated_normal(parameters, &join(prefix, name), shape, Role::Bias, stream)
            }
            Layer::Conv { name, kernel, channels: [from, to], bias } => {
                init::conv(parameters, &join(prefix, name), [*kernel, *from, *to], *bias, stream)
            }
        }
    }
}

/// `names` and shapes behind `prefix`.
pub(super) fn prefixed(
    prefix: &str,
    shapes: impl IntoIterator<Item = (String, Vec<usize>)>,
) -> impl Iterator<Item = (String, Vec<usize>)> {
    shapes.into_iter().map(move |(name, shape)| (join(prefix, &name), shape))
}
