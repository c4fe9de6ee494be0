//! From the operations of a graph to ONNX's.

use crate::error::OnnxError;
use crate::model::OUTPUT;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::tensors::{constant, parameter};
use matssl_tensor::ops::Conv2d;
use matssl_tensor::{Graph, GraphNode, Operation, Parameters};
use std::collections::{HashMap, HashSet};

/// Name of the constant with the factors of an upsampling.
const SCALES: &str = "upsampling.scales";

/// Nodes and constants of a file in the making.
pub(crate) struct Nodes<'m> {
    parameters: &'m Parameters,
    /// Of the value of each index in the graph: its name in the file.
    values: Vec<String>,
    /// By value: its name after an upsampling by two.
    doubled: HashMap<usize, String>,
    names: HashSet<String>,
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) constants: Vec<TensorProto>,
}

impl<'m> Nodes<'m> {
    /// Nothing but the names of the file's input and output.
    pub(crate) fn new(parameters: &'m Parameters, input: &str) -> Self {
        let names = [input, OUTPUT].map(str::to_owned).into();
        Nodes {
            parameters,
            values: Vec::new(),
            doubled: HashMap::new(),
            names,
            nodes: Vec::new(),
            constants: Vec::new(),
        }
    }

    /// Adds `graph` behind factors and summands for the channels of `image`. The result is called [`OUTPUT`].
    ///
    /// # Errors
    /// If a parameter is missing.
    pub(crate) fn add(&mut self, graph: &Graph, image: &str, [scale, shift]: [&[f32]; 2]) -> Result<(), OnnxError> {
        let last = |value: usize| value == graph.output;
        for (name, values) in [("normalisation.scale", scale), ("normalisation.shift", shift)] {
            self.constant(name, || Ok(constant(name, &[1, values.len(), 1, 1], values)))?;
        }
        let scaled = self.node("normalisation.scaled", "Mul", &[image, "normalisation.scale"], vec![], false);
        let input = self.node("normalisation", "Add", &[&scaled, "normalisation.shift"], vec![], last(0));
        self.values.push(input);
        for (at, node) in graph.nodes.iter().enumerate() {
            let output = self.operation(node, last(at + 1))?;
            self.values.push(output);
        }
        Ok(())
    }

    /// Adds an operation, and returns the name of its output.
    fn operation(&mut self, node: &GraphNode, last: bool) -> Result<String, OnnxError> {
        let inputs: Vec<String> = node.inputs.iter().map(|&input| self.values[input].clone()).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(match &node.operation {
            Operation::Conv2d { doubled, weight, bias, options } => {
                self.convolution(&node.inputs, doubled, (weight, bias.as_deref()), *options, last)?
            }
            Operation::BatchNorm { prefix, epsilon, relu } => {
                let residual = inputs.get(1);
                let mut read = vec![inputs[0].to_owned()];
                for vector in ["weight", "bias", "running_mean", "running_var"] {
                    read.push(self.parameter(&format!("{prefix}.{vector}"))?);
                }
                let read: Vec<&str> = read.iter().map(String::as_str).collect();
                let epsilon = vec![float("epsilon", *epsilon as f32)];
                let mut y =
                    self.node(prefix, "BatchNormalization", &read, epsilon, last && residual.is_none() && !relu);
                if let Some(residual) = residual {
                    y = self.node(&format!("{prefix}.sum"), "Add", &[&y, residual], vec![], last && !relu);
                }
                if *relu {
                    y = self.node(&format!("{prefix}.relu"), "Relu", &[&y], vec![], last);
                }
                y
            }
            &Operation::MaxPool { kernel, stride, padding, ceil_mode } => {
                let attributes = vec![
                    ints("kernel_shape", &[kernel; 2]),
                    ints("strides", &[stride; 2]),
                    ints("pads", &[padding; 4]),
                    int("ceil_mode", ceil_mode.into()),
                ];
                self.node("max_pool", "MaxPool", &inputs, attributes, last)
            }
            Operation::Sum => self.node("sum", "Add", &inputs, vec![], last),
            Operation::MeanPixels => self.node("mean", "GlobalAveragePool", &inputs, vec![], last),
            Operation::Sigmoid => self.node("sigmoid", "Sigmoid", &inputs, vec![], last),
            Operation::ScaleChannels => {
                let y = self.node("scaled", "Mul", &inputs[..2], vec![], last && inputs.len() == 2);
                match inputs.get(2) {
                    Some(residual) => {
                        let y = self.node("scaled.sum", "Add", &[&y, residual], vec![], false);
                        self.node("scaled.relu", "Relu", &[&y], vec![], last)
                    }
                    None => y,
                }
            }
            Operation::Relu => self.node("relu", "Relu", &inputs, vec![], last),
            Operation::UpsampleNearest => self.upsampling(inputs[0], last)?,
            Operation::Concat => self.node("concat", "Concat", &inputs, vec![int("axis", 1)], last),
        })
    }

    /// A convolution of `inputs` side by side.
    fn convolution(
        &mut self,
        inputs: &[usize],
        doubled: &[bool],
        (weight, bias): (&str, Option<&str>),
        Conv2d { stride, padding, dilation, groups }: Conv2d,
        last: bool,
    ) -> Result<String, OnnxError> {
        let mut parts = Vec::new();
        for (&value, &doubled) in inputs.iter().zip(doubled) {
            let name = self.values[value].clone();
            parts.push(match (doubled, self.doubled.get(&value)) {
                (false, _) => name,
                (true, Some(known)) => known.clone(),
                (true, None) => {
                    let made = self.upsampling(&name, false)?;
                    self.doubled.insert(value, made.clone());
                    made
                }
            });
        }
        let name = weight.strip_suffix(".weight").unwrap_or(weight);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let joined = match parts[..] {
            [only] => only.to_owned(),
            _ => self.node(&format!("{name}.concat"), "Concat", &parts, vec![int("axis", 1)], false),
        };
        let mut read = vec![joined, self.parameter(weight)?];
        if let Some(bias) = bias {
            read.push(self.parameter(bias)?);
        }
        let kernel = self.parameters.tensor(weight)?.dims()[..2].to_vec();
        let attributes = vec![
            ints("kernel_shape", &kernel),
            ints("strides", &[stride; 2]),
            ints("pads", &[padding; 4]),
            ints("dilations", &[dilation; 2]),
            int("group", groups as i64),
        ];
        let read: Vec<&str> = read.iter().map(String::as_str).collect();
        Ok(self.node(name, "Conv", &read, attributes, last))
    }

    /// Every pixel of `input` becomes a square of four.
    fn upsampling(&mut self, input: &str, last: bool) -> Result<String, OnnxError> {
        self.constant(SCALES, || Ok(constant(SCALES, &[4], &[1.0, 1.0, 2.0, 2.0])))?;
        let attributes = vec![
            string("mode", "nearest"),
            string("coordinate_transformation_mode", "asymmetric"),
            string("nearest_mode", "floor"),
        ];
        // The second input, a region of interest, is left out.
        Ok(self.node(&format!("{input}.doubled"), "Resize", &[input, "", SCALES], attributes, last))
    }

    /// The parameter `name` as a constant of the same name.
    fn parameter(&mut self, name: &str) -> Result<String, OnnxError> {
        let parameters = self.parameters;
        self.constant(name, || parameter(name, parameters.get(name)?))?;
        Ok(name.to_owned())
    }

    /// Adds the constant `name`, unless it is there.
    fn constant(
        &mut self,
        name: &str,
        make: impl FnOnce() -> candle_core::Result<TensorProto>,
    ) -> Result<(), OnnxError> {
        if self.names.insert(name.to_owned()) {
            self.constants.push(make()?);
        }
        Ok(())
    }

    /// Adds a node whose name begins with `name`, and returns the name of its output: [`OUTPUT`] if it is the `last`.
    fn node(
        &mut self,
        name: &str,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        last: bool,
    ) -> String {
        let numbered = (2..).map(|number| format!("{name}.{number}"));
        let free = [name.to_owned()].into_iter().chain(numbered).find(|name| !self.names.contains(name));
        let name = free.expect("there is a number for every node");
        self.names.insert(name.clone());
        let output = if last { OUTPUT.to_owned() } else { name.clone() };
        self.nodes.push(NodeProto {
            name: Some(name),
            op_type: Some(operator.to_owned()),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            attribute,
            ..NodeProto::default()
        });
        output
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: values.iter().map(|&value| value as i64).collect(), ..attribute(name, AttributeType::Ints) }
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}
