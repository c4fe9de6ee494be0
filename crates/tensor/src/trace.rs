//! A network's operations, from its own definition: placeholder tensors go through the network, and every operation says what
//! it is.

use super::count::placeholder;
use super::graph::Graph;
use super::parameters::Parameters;
use super::tape::{Tape, Value};
use candle_core::Result;

/// The operations of `forward`, as it predicts, for an input of `shape` `[batch, height, width, channels]`; nothing is computed.
///
/// # Errors
/// If the input does not fit the network, or the network has an operation that a [`Graph`] cannot hold.
pub fn trace(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<Graph> {
    let input = placeholder(&shape, parameters.activations(), parameters)?;
    let tape = Tape::tracing(parameters, &input);
    let output = forward(&tape, &tape.constant(input))?;
    tape.traced(&output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{GraphNode, Operation};
    use crate::ops::{Conv2d, MaxPool};
    use crate::{init, init::ConvInit};
    use candle_core::{DType, Device, Tensor};
    use matssl_base::random::Stream;

    fn parameters() -> Result<Parameters> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let stream = Stream::new(0, "trace", 0, 0);
        init::conv_weight(&mut parameters, "w", [3, 2, 8], ConvInit::XavierUniform, &stream)?;
        init::batch_norm(&mut parameters, "bn", 8)?;
        init::conv_weight(&mut parameters, "v", [1, 18, 4], ConvInit::XavierUniform, &stream)?;
        init::linear(&mut parameters, "linear", [4, 1], true, &stream)?;
        Ok(parameters)
    }

    #[test]
    fn a_graph_has_every_operation_with_its_inputs_and_parameters() -> Result<()> {
        let parameters = parameters()?;
        let graph = trace(&parameters, [1, 8, 8, 2], |tape, x| {
            let y = tape.conv_norm(&[(x, false)], ("w", "bn"), Conv2d::new(1, 1), None, true)?;
            let z = tape.batch_norm(&y, "bn", Some(&y), false)?;
            let z = tape.max_pool(&z, MaxPool { kernel: 3, stride: 2, padding: 0, ceil_mode: true })?;
            let z = tape.concat(&[&tape.relu(&tape.upsample_nearest(&z)?)?, &y])?;
            let z = tape.sum(&z, &z)?;
            let half = tape.max_pool(x, MaxPool { kernel: 2, stride: 2, padding: 0, ceil_mode: false })?;
            tape.conv2d_joined(&[(&half, true), (&z, false)], "v", None, Conv2d::new(2, 0))
        })?;
        let conv = |doubled: &[bool], weight: &str, options| Operation::Conv2d {
            doubled: doubled.into(),
            weight: weight.into(),
            bias: None,
            options,
        };
        let norm = |relu| Operation::BatchNorm { prefix: "bn".into(), epsilon: 1e-5, relu };
        let pool = |kernel, ceil_mode| Operation::MaxPool { kernel, stride: 2, padding: 0, ceil_mode };
        let last = conv(&[true, false], "v", Conv2d::new(2, 0));
        let expected: Vec<(Operation, &[usize], usize)> = vec![
            (conv(&[false], "w", Conv2d::new(1, 1)), &[0], 8),
            (norm(true), &[1], 8),
            (norm(false), &[2, 2], 8),
            (pool(3, true), &[3], 8),
            (Operation::UpsampleNearest, &[4], 8),
            (Operation::Relu, &[5], 8),
            (Operation::Concat, &[6, 2], 16),
            (Operation::Sum, &[7, 7], 16),
            (pool(2, false), &[0], 2),
            (last, &[9, 8], 4),
        ];
        let node =
            |(operation, inputs, channels): (_, &[usize], _)| GraphNode { operation, inputs: inputs.into(), channels };
        assert_eq!(graph.nodes, expected.into_iter().map(node).collect::<Vec<_>>());
        assert_eq!((graph.channels, graph.output, graph.output_channels()), (2, 10, 4));
        assert_eq!(parameters.tensor("bn.num_batches_tracked")?.to_scalar::<i64>()?, 0);
        Ok(())
    }

    #[test]
    fn operations_that_the_output_does_not_depend_on_are_left_out() -> Result<()> {
        let parameters = parameters()?;
        let graph = trace(&parameters, [1, 8, 8, 2], |tape, x| {
            let y = tape.relu(x)?;
            tape.global_average_pool(&y)?;
            tape.upsample_nearest(&y)?;
            tape.sum(x, &y)
        })?;
        let node = |operation, inputs: &[usize]| GraphNode { operation, inputs: inputs.into(), channels: 2 };
        let nodes = vec![node(Operation::Relu, &[0]), node(Operation::Sum, &[0, 1])];
        assert_eq!(graph, Graph { channels: 2, nodes, output: 2 });
        let graph = trace(&parameters, [1, 8, 8, 2], |_, x| Ok(x.clone()))?;
        assert_eq!(graph, Graph { channels: 2, nodes: vec![], output: 0 });
        Ok(())
    }

    #[test]
    fn what_a_graph_cannot_hold_is_named() -> Result<()> {
        let parameters = parameters()?;
        let refused = |forward: &dyn Fn(&Tape<'_>, &Value) -> Result<Value>| {
            trace(&parameters, [1, 8, 8, 2], forward).unwrap_err().to_string()
        };
        let message = refused(&|tape, x| tape.global_average_pool(x));
        assert!(message.contains("the operation `global_average_pool`"), "{message}");
        let message = refused(&|tape, x| tape.upsample_bilinear(x, true));
        assert!(message.contains("the operation `upsample_bilinear`"), "{message}");
        let other = Tensor::zeros((1, 8, 8, 2), DType::F32, &Device::Cpu)?;
        let message = refused(&|tape, _| tape.relu(&tape.constant(other.clone())));
        assert!(message.contains("Relu of a tensor that is neither"), "{message}");
        let message = refused(&|tape, _| Ok(tape.constant(other.clone())));
        assert!(message.contains("no operation's output"), "{message}");
        Ok(())
    }
}
