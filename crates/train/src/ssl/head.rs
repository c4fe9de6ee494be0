//! Projection and prediction heads: linear layers with batch norms and ReLUs between them.

use candle_core::{DType, Result, Tensor, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Mode, Parameters, Tape, Value, init};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::num::NonZeroUsize;

/// Sizes of a projection head, with a method's own defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSizes<const HIDDEN: usize, const OUTPUT: usize> {
    /// Width of the hidden layers.
    pub hidden: NonZeroUsize,
    /// Dimensions of the embedding.
    pub output: NonZeroUsize,
}

impl<const HIDDEN: usize, const OUTPUT: usize> Default for HeadSizes<HIDDEN, OUTPUT> {
    fn default() -> Self {
        HeadSizes {
            hidden: const { NonZeroUsize::new(HIDDEN).unwrap() },
            output: const { NonZeroUsize::new(OUTPUT).unwrap() },
        }
    }
}

/// The table of an experiment file. (serde's derive cannot take the defaults from const parameters.)
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct HeadTable {
    #[schemars(description = "Width of the hidden layers.")]
    hidden: Option<NonZeroUsize>,
    #[schemars(description = "Dimensions of the embedding.")]
    output: Option<NonZeroUsize>,
}

impl<const HIDDEN: usize, const OUTPUT: usize> Serialize for HeadSizes<HIDDEN, OUTPUT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        HeadTable { hidden: Some(self.hidden), output: Some(self.output) }.serialize(serializer)
    }
}

impl<'de, const HIDDEN: usize, const OUTPUT: usize> Deserialize<'de> for HeadSizes<HIDDEN, OUTPUT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (table, sizes) = (HeadTable::deserialize(deserializer)?, Self::default());
        Ok(HeadSizes { hidden: table.hidden.unwrap_or(sizes.hidden), output: table.output.unwrap_or(sizes.output) })
    }
}

impl<const HIDDEN: usize, const OUTPUT: usize> JsonSchema for HeadSizes<HIDDEN, OUTPUT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeadSizes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = HeadTable::json_schema(generator);
        schema.insert("default".into(), serde_json::json!({ "hidden": HIDDEN, "output": OUTPUT }));
        schema.insert("description".into(), "Sizes of a projection head.".into());
        schema
    }
}

/// The normalisation after a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    /// Nothing; the layer itself has a bias.
    Bias,
    /// Batch norm.
    Batch,
    /// Batch norm without scale and shift.
    Plain,
}

/// A linear layer with its normalisation and activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    pub(crate) outputs: usize,
    pub(crate) norm: Norm,
    pub(crate) relu: bool,
}

impl Layer {
    /// Linear without bias, batch norm, ReLU.
    pub(crate) fn hidden(outputs: NonZeroUsize) -> Self {
        Layer { outputs: outputs.get(), norm: Norm::Batch, relu: true }
    }

    /// Linear with bias.
    pub(crate) fn last(outputs: NonZeroUsize) -> Self {
        Layer { outputs: outputs.get(), norm: Norm::Bias, relu: false }
    }
}

/// A head: its parameters carry the names of lightly's `nn.Sequential` below `<name>.layers.`.
#[derive(Debug)]
pub(crate) struct Head {
    name: &'static str,
    layers: Vec<Layer>,
}

impl Head {
    /// Inserts the parameters of a head for features of `inputs` dimensions, drawn as PyTorch draws them.
    ///
    /// # Errors
    /// If the names are taken.
    pub(crate) fn init(
        name: &'static str,
        mut inputs: usize,
        layers: impl Into<Vec<Layer>>,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> Result<Self> {
        let head = Head { name, layers: layers.into() };
        for (layer, linear, norm) in head.places() {
            init::linear(parameters, &linear, [inputs, layer.outputs], layer.norm == Norm::Bias, stream)?;
            match layer.norm {
                Norm::Bias => {}
                Norm::Batch => init::batch_norm(parameters, &norm, layer.outputs)?,
                Norm::Plain => init::plain_batch_norm(parameters, &norm, layer.outputs)?,
            }
            inputs = layer.outputs;
        }
        Ok(head)
    }

    /// Embeddings `[batch, output]` of features `[batch, input]`. In training they are normalised by the batch's
    /// statistics, and the running ones are updated once per call, as in PyTorch.
    ///
    /// # Errors
    /// If a training batch holds fewer than two rows and there is a norm: it has no variance then.
    pub(crate) fn forward(&self, tape: &Tape<'_>, features: &Value) -> Result<Value> {
        self.forward_below("", tape, features)
    }

    /// As [`Head::forward`], with the parameters whose names begin with `prefix`: a momentum network's.
    ///
    /// # Errors
    /// As [`Head::forward`].
    pub(crate) fn forward_below(&self, prefix: &str, tape: &Tape<'_>, features: &Value) -> Result<Value> {
        let mut x = features.clone();
        for (layer, linear, norm) in self.places() {
            let (linear, norm) = (init::join(prefix, &linear), init::join(prefix, &norm));
            if layer.norm != Norm::Bias && tape.mode() == Mode::Train && x.tensor().dim(0)? < 2 {
                bail!("batch norm `{norm}` needs at least two images in a batch");
            }
            let bias = format!("{linear}.bias");
            x = tape.linear(&x, &format!("{linear}.weight"), (layer.norm == Norm::Bias).then_some(&*bias))?;
            x = match (layer.norm, layer.relu) {
                (Norm::Bias, false) => x,
                (Norm::Bias, true) => tape.relu(&x)?,
                (Norm::Batch, relu) => tape.batch_norm(&x, &norm, None, relu)?,
                (Norm::Plain, false) => tape.plain_batch_norm(&x, &norm)?,
                (Norm::Plain, true) => tape.relu(&tape.plain_batch_norm(&x, &norm)?)?,
            };
        }
        Ok(x)
    }

    /// Each layer with the names of its linear layer and of its norm.
    fn places(&self) -> impl Iterator<Item = (Layer, String, String)> {
        let mut place = 0;
        self.layers.iter().map(move |&layer| {
            let at = |place: usize| format!("{}.layers.{place}", self.name);
            let names = (layer, at(place), at(place + 1));
            place += 1 + usize::from(layer.norm != Norm::Bias) + usize::from(layer.relu);
            names
        })
    }
}

/// SimCLR's head as lightly has it (`SimCLRProjectionHead`, two layers): linear without bias, batch norm, ReLU, linear
/// without bias, batch norm.
pub(crate) fn simclr<const H: usize, const O: usize>(sizes: HeadSizes<H, O>) -> [Layer; 2] {
    [Layer::hidden(sizes.hidden), Layer { outputs: sizes.output.get(), norm: Norm::Batch, relu: false }]
}

/// Mean and standard deviation of a parameter's entries, in float64: for histories.
pub(crate) fn moments(tensor: &Tensor) -> Result<[f64; 2]> {
    let values: Vec<f64> = tensor.detach().flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Ok([mean, variance.sqrt()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use matssl_tensor::testing::{Inputs, check_gradients};

    const SIZES: HeadSizes<5, 3> =
        HeadSizes { hidden: NonZeroUsize::new(5).unwrap(), output: NonZeroUsize::new(3).unwrap() };

    fn head(layers: &[Layer]) -> (Head, Parameters) {
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let head = Head::init("head", 4, layers, &mut parameters, &Stream::new(1, "head", 0, 0)).unwrap();
        (head, parameters)
    }

    fn features() -> Tensor {
        let mut stream = Stream::new(2, "features", 0, 0);
        Tensor::from_vec((0..24).map(|_| stream.normal()).collect::<Vec<f64>>(), (6, 4), &Device::Cpu).unwrap()
    }

    #[test]
    fn every_gradient_agrees_with_finite_differences() {
        let plain = Layer { outputs: 3, norm: Norm::Plain, relu: false };
        for layers in [
            simclr(SIZES),
            [Layer { outputs: 5, norm: Norm::Bias, relu: true }, Layer::last(SIZES.output)],
            [Layer::hidden(SIZES.hidden), plain],
        ] {
            let (head, parameters) = head(&layers);
            let mut inputs = Inputs::new(5);
            inputs.normal("x", &[6, 4]);
            for (name, parameter) in parameters.iter() {
                match parameter.role.is_trainable() {
                    true => inputs.normal(name, parameter.var.dims()),
                    false if name.ends_with("tracked") => inputs.count(name),
                    false => inputs.buffer(name, parameter.var.dims(), f64::from(name.ends_with("var"))),
                }
            }
            check_gradients(&inputs, |tape| head.forward(tape, &tape.parameter("x")?));
        }
    }

    #[test]
    fn names_are_those_of_lightlys_sequence() {
        let (_, parameters) = head(&simclr(SIZES));
        let names: Vec<&str> = parameters.trainable().map(|(name, _)| name).collect();
        let expected = ["0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias"];
        assert_eq!(names, expected.map(|name| format!("head.layers.{name}")));
        let (_, parameters) = head(&[Layer { outputs: 5, norm: Norm::Bias, relu: true }, Layer::last(SIZES.output)]);
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"].map(|name| format!("head.layers.{name}")));
    }

    #[test]
    fn running_statistics_move_as_in_pytorch() {
        let (head, parameters) = head(&simclr(SIZES));
        let tape = Tape::new(&parameters, Mode::Train);
        head.forward(&tape, &tape.constant(features())).unwrap();
        let hidden = features().matmul(&parameters.tensor("head.layers.0.weight").unwrap().t().unwrap());
        let columns: Vec<Vec<f64>> = hidden.unwrap().t().unwrap().to_vec2().unwrap();
        let running = |name: &str| -> Vec<f64> {
            parameters.tensor(&format!("head.layers.1.{name}")).unwrap().to_vec1().unwrap()
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
        let (head, parameters) = head(&simclr(SIZES));
        let tape = Tape::new(&parameters, Mode::Train);
        let one = tape.constant(features().narrow(0, 0, 1).unwrap());
        let error = head.forward(&tape, &one).unwrap_err().to_string();
        assert!(error.contains("at least two images"), "{error}");
    }
}
