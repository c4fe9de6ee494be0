//! A network as a list of operations with the names of their parameters: what a file in another program's format is written
//! from.

use super::ops::Conv2d;
use candle_core::{Result, Tensor, TensorId, bail};
use std::collections::HashMap;

/// The operations of a forward pass, in the order in which they run. Value 0 is the network's input, value `i + 1` the output
/// of node `i`.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Channels of the input.
    pub channels: usize,
    /// The operations.
    pub nodes: Vec<GraphNode>,
    /// The value that the network returns.
    pub output: usize,
}

impl Graph {
    /// Channels of the output.
    pub fn output_channels(&self) -> usize {
        self.output.checked_sub(1).map_or(self.channels, |node| self.nodes[node].channels)
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphNode {
    /// What it does.
    pub operation: Operation,
    /// The values that it reads, all from nodes before it.
    pub inputs: Vec<usize>,
    /// Channels of its output.
    pub channels: usize,
}

/// What a node does. Parameters are named as in [`Parameters`](crate::Parameters).
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A convolution of all inputs side by side.
    Conv2d {
        /// For each input, whether it is first doubled in height and width by nearest-neighbour upsampling.
        doubled: Vec<bool>,
        /// Its kernel.
        weight: String,
        /// What is added to each channel.
        bias: Option<String>,
        /// Stride, padding, dilation and groups.
        options: Conv2d,
    },
    /// Batch norm of the first input with the running statistics, plus the second input if there is one, then a ReLU if `relu`.
    BatchNorm {
        /// Its parameters are `prefix.weight`, `.bias`, `.running_mean` and `.running_var`.
        prefix: String,
        /// Added to the variance.
        epsilon: f64,
        /// Whether negative numbers become 0 at the end.
        relu: bool,
    },
    /// Max pooling; fields as in [`MaxPool`](crate::ops::MaxPool).
    MaxPool {
        /// Side of the window.
        kernel: usize,
        /// Pixels from one window to the next.
        stride: usize,
        /// Pixels on each side.
        padding: usize,
        /// Lets a last window hang over the right or bottom edge.
        ceil_mode: bool,
    },
    /// Sum of both inputs, of one shape.
    Sum,
    /// Means over all pixels of each image, as an image of one pixel.
    MeanPixels,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// The first input times the second, which has one pixel to an image; if there is a third, of the first's shape, plus that and
    /// through a ReLU.
    ScaleChannels,
    /// max(x, 0).
    Relu,
    /// Doubles height and width by nearest-neighbour upsampling.
    UpsampleNearest,
    /// Joins all inputs along channels.
    Concat,
}

/// An operation and the tensors that it reads; the operation's name if a [`Graph`] cannot hold it.
pub(crate) type Description = std::result::Result<(Operation, Vec<TensorId>), &'static str>;

/// A [`Graph`] in the making.
pub(super) struct Recorder {
    channels: usize,
    values: HashMap<TensorId, usize>,
    /// Each operation, or why a graph cannot hold it.
    nodes: Vec<std::result::Result<GraphNode, String>>,
}

impl Recorder {
    /// Of a network with the input `input`.
    pub(super) fn new(input: &Tensor) -> Self {
        Recorder { channels: channels(input), values: HashMap::from([(input.id(), 0)]), nodes: Vec::new() }
    }

    /// Adds the operation with the output `output`.
    pub(super) fn push(&mut self, description: Description, output: &Tensor) {
        let node = description.map_err(|name| format!("the operation `{name}`")).and_then(|(operation, inputs)| {
            let values: Option<Vec<usize>> = inputs.iter().map(|id| self.values.get(id).copied()).collect();
            match values {
                Some(inputs) => Ok(GraphNode { operation, inputs, channels: channels(output) }),
                None => Err(format!("{operation:?} of a tensor that is neither its input nor an operation's output")),
            }
        });
        self.nodes.push(node);
        self.values.insert(output.id(), self.nodes.len());
    }

    /// The graph that returns `output`: the operations that it depends on.
    ///
    /// # Errors
    /// If a graph cannot hold one of them, or `output` is not the input or an operation's output.
    pub(super) fn finish(self, output: &Tensor) -> Result<Graph> {
        let Some(&output) = self.values.get(&output.id()) else {
            bail!("the network's output is no operation's output");
        };
        let mut needed = vec![false; self.nodes.len() + 1];
        needed[output] = true;
        for (at, node) in self.nodes.iter().enumerate().rev().filter(|(_, node)| node.is_ok()) {
            if needed[at + 1] {
                node.iter().flat_map(|node| &node.inputs).for_each(|&input| needed[input] = true);
            }
        }
        // Of each value: its index among those that are needed.
        let mut places = vec![0; needed.len()];
        let mut nodes = Vec::new();
        for (at, node) in self.nodes.into_iter().enumerate().filter(|(at, _)| needed[at + 1]) {
            match node {
                Ok(node) => {
                    let inputs = node.inputs.iter().map(|&input| places[input]).collect();
                    nodes.push(GraphNode { inputs, ..node });
                }
                Err(reason) => bail!("a network with {reason} cannot be written as a graph"),
            }
            places[at + 1] = nodes.len();
        }
        Ok(Graph { channels: self.channels, nodes, output: places[output] })
    }
}

fn channels(tensor: &Tensor) -> usize {
    tensor.dims().last().copied().unwrap_or(0)
}
