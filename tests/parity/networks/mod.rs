//! Whole networks: outputs, the gradient of every parameter, running statistics, and the weights after three steps of
//! SGD and Adam.

mod encoder;
mod matssl;
mod segmentation;

use crate::fixture::{self, Column, Described};
use crate::hashed;
use crate::measure::{Held, Pair, Pairs, RATIO, Section, compare, together};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{Gradients, Mode, Parameters, Role};
use matssl_run::train::OptimizerSpec;
use matssl_run::train::optimizer::Optimizer;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

pub(crate) use encoder::Encoder;
pub(crate) use segmentation::Segmentation;

const STEPS: usize = 3;
const AFTER_SGD: &str = "after 3 steps of SGD";
const AFTER_ADAM: &str = "after 3 steps of Adam";
const MOMENTUM: f64 = 0.9;
const WEIGHT_DECAY: f64 = 0.01;

/// Outputs by name.
pub(crate) type Outputs = BTreeMap<String, Tensor>;

/// A network as a fixture describes it, with its hashed input and loss.
pub(crate) trait Network: DeserializeOwned {
    /// Its name in the table.
    fn name(&self) -> String;

    /// Networks with one word for this have the same parameters.
    fn weights(&self) -> String;

    /// Adds its parameters, with any values.
    fn init(&self, parameters: &mut Parameters) -> Result<()>;

    /// Its hashed input, `[batch, height, width, 3]`.
    fn image(&self, dtype: DType) -> Result<Tensor>;

    /// Its outputs in inference mode.
    fn infer(&self, parameters: &Parameters) -> Result<Outputs>;

    /// Outputs, loss if it has one, and gradients.
    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)>;
}

/// All lines of the table.
pub(crate) fn all() -> Vec<Section> {
    [encoder::sections(), segmentation::sections(), matssl::sections()].concat()
}

#[test]
fn after_steps_float32_is_as_good_as_pytorchs() {
    for (what, ratio) in together(&all()) {
        assert!(ratio <= RATIO, "{what}: in the middle of the networks float32 errors are {ratio:.2} × PyTorch's");
    }
}

/// The networks of `section` in the fixture.
fn sections<N: Network>(section: &str) -> Vec<Section> {
    let networks = fixture::section::<Described<N>>(include_str!("../networks.json"), section);
    let (mut sections, mut made) = (Vec::new(), BTreeMap::new());
    for described in networks {
        let comparison = match made.entry(described.network.weights()) {
            Entry::Occupied(present) => Ok(present.into_mut()),
            Entry::Vacant(place) => Comparison::new(&described).map(|comparison| place.insert(comparison)),
        };
        let found = comparison.and_then(|comparison| comparison.sections(&described));
        sections.extend(found.unwrap_or_else(|error| panic!("{}: {error}", described.network.name())));
    }
    sections
}

/// The parameters of `network` with their hashed values.
pub(crate) fn parameters(network: &impl Network, dtype: DType) -> Result<Parameters> {
    let mut parameters = Parameters::new(dtype, hashed::device());
    network.init(&mut parameters)?;
    hashed::fill(&parameters)?;
    Ok(parameters)
}

/// A store of its own with the same values, floats as `dtype`.
fn copy(parameters: &Parameters, dtype: DType) -> Result<Parameters> {
    let mut copy = Parameters::new(dtype, parameters.device());
    for (name, parameter) in parameters.iter() {
        let tensor = parameter.var.as_detached_tensor();
        let tensor = if tensor.dtype().is_float() { tensor.to_dtype(dtype)? } else { tensor };
        copy.insert(name, tensor, parameter.role)?;
    }
    Ok(copy)
}

/// One network in both precisions, from the same numbers.
struct Comparison {
    exact: Parameters,
    single: Parameters,
}

impl Comparison {
    fn new<N: Network>(described: &Described<N>) -> Result<Self> {
        let exact = parameters(&described.network, DType::F64)?;
        let single = copy(&exact, DType::F32)?;
        Ok(Comparison { exact, single })
    }

    fn sections<N: Network>(&self, described: &Described<N>) -> Result<Vec<Section>> {
        let (network, name) = (&described.network, described.network.name());
        let mut sections = Vec::new();
        let mut add =
            |what: &str, held, tensors| sections.push(Section { name: format!("{name}, {what}"), held, tensors });
        if !described.inference.is_empty() {
            let pairs = outputs(network.infer(&self.exact)?, &network.infer(&self.single)?)?;
            add("inference", Held::Each, compare("", &pairs, &described.inference));
        }
        if let Some(expected) = described.column(Column::Frozen) {
            let (_, exact) = network.train(&self.exact, Mode::Frozen)?;
            let (_, single) = network.train(&self.single, Mode::Frozen)?;
            add(
                "gradients with frozen statistics",
                Held::Each,
                compare("", &self.gradients(&exact, &single)?, &expected),
            );
        }
        // Training moves the running statistics, so it has stores of its own.
        let (trained, trained_single) = (copy(&self.exact, DType::F64)?, copy(&self.exact, DType::F32)?);
        let (exact_outputs, exact) = network.train(&trained, Mode::Train)?;
        let (single_outputs, single) = network.train(&trained_single, Mode::Train)?;
        let mut tensors = compare("", &outputs(exact_outputs, &single_outputs)?, &described.training);
        let expected = described.column(Column::Gradient).unwrap_or_default();
        tensors.extend(compare("gradient of", &self.gradients(&exact, &single)?, &expected));
        let is_statistic = |name: &str, role: Role| role == Role::Buffer && !name.ends_with("num_batches_tracked");
        tensors.extend(compare("", &values(&trained, &trained_single, is_statistic)?, &described.statistics));
        add("training", Held::Median, tensors);
        let Some(rates) = described.learning_rates else { return Ok(sections) };
        let sgd = OptimizerSpec::sgd(rates.sgd, MOMENTUM, WEIGHT_DECAY);
        let adam = OptimizerSpec::adam(rates.adam, WEIGHT_DECAY);
        for (what, column, spec) in [(AFTER_SGD, Column::Sgd, sgd), (AFTER_ADAM, Column::Adam, adam)] {
            let stepped = self.after_steps(network, spec, DType::F64, &exact)?;
            let stepped_single = self.after_steps(network, spec, DType::F32, &single)?;
            let pairs = values(&stepped, &stepped_single, |_, role| role.is_trainable())?;
            let expected = described.column(column).unwrap_or_default();
            add(what, Held::Together(what), compare("", &pairs, &expected));
        }
        Ok(sections)
    }

    /// The first step's gradients are at hand.
    fn after_steps(
        &self,
        network: &impl Network,
        spec: OptimizerSpec,
        dtype: DType,
        first: &Gradients,
    ) -> Result<Parameters> {
        let parameters = copy(&self.exact, dtype)?;
        let mut optimizer = Optimizer::new(spec);
        let mut step = |gradients: &Gradients| {
            optimizer.step(&parameters, gradients, spec.learning_rate(), 1.0).map_err(candle_core::Error::wrap)
        };
        step(first)?;
        for _ in 1..STEPS {
            let (_, gradients) = network.train(&parameters, Mode::Train)?;
            step(&gradients)?;
        }
        Ok(parameters)
    }

    /// Of those parameters that have one in both.
    fn gradients(&self, exact: &Gradients, single: &Gradients) -> Result<Pairs> {
        let pairs = self.exact.trainable().filter_map(|(name, parameter)| {
            let pair = Pair::new(exact.get(name)?, single.get(name)?, parameter.role);
            Some(pair.map(|pair| (name.to_owned(), pair)))
        });
        pairs.collect()
    }
}

fn outputs(exact: Outputs, single: &Outputs) -> Result<Pairs> {
    exact
        .into_iter()
        .map(|(name, exact)| Ok((name.clone(), Pair::new(&exact, &single[&name], Role::Buffer)?)))
        .collect()
}

/// The values of those that `chosen` picks.
fn values(exact: &Parameters, single: &Parameters, chosen: impl Fn(&str, Role) -> bool) -> Result<Pairs> {
    let chosen = exact.iter().filter(|(name, parameter)| chosen(name, parameter.role));
    let pairs = chosen.map(|(name, parameter)| {
        let pair = Pair::new(parameter.var.as_tensor(), single.tensor(name)?, parameter.role)?;
        Ok((name.to_owned(), pair))
    });
    pairs.collect()
}
