//! Whole networks: outputs, the gradient of every parameter, running statistics, and the weights after three steps of
//! SGD and Adam.

mod encoder;
mod matssl;
mod segmentation;

use crate::fixture::{self, Column, Described, Tensors};
use crate::hashed;
use crate::measure::{Held, Measured, Pair, Section, compare};
use candle_core::{DType, Device, Result, Tensor};
use matssl_run::nn::{Gradients, Mode, Parameter, Parameters, Role};
use matssl_run::train::OptimizerSpec;
use matssl_run::train::optimizer::Optimizer;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

pub(crate) use encoder::Encoder;
pub(crate) use segmentation::Segmentation;

const STEPS: usize = 3;
const MOMENTUM: f64 = 0.9;
const WEIGHT_DECAY: f64 = 0.01;

/// Outputs by name.
pub(crate) type Outputs = BTreeMap<String, Tensor>;

/// A network as a fixture describes it, with its hashed input and loss.
pub(crate) trait Network: DeserializeOwned {
    /// Its name in the table.
    fn name(&self) -> String;

    /// Adds its parameters, with any values.
    fn init(&self, parameters: &mut Parameters) -> Result<()>;

    /// Its outputs in inference mode.
    fn infer(&self, parameters: &Parameters) -> Result<Outputs>;

    /// Outputs, loss if it has one, and gradients.
    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)>;
}

/// All lines of the table.
pub(crate) fn all() -> Vec<Section> {
    [encoder::sections(), segmentation::sections(), matssl::sections()].concat()
}

/// The networks of `section` in the fixture.
fn sections<N: Network>(section: &str) -> Vec<Section> {
    let networks = fixture::section::<Described<N>>(include_str!("../networks.json"), section);
    let of = |described: &Described<N>| {
        Comparison::new(described)
            .and_then(|comparison| comparison.sections(described))
            .unwrap_or_else(|error| panic!("{}: {error}", described.network.name()))
    };
    networks.iter().flat_map(of).collect()
}

/// The parameters of `network` with their hashed values.
pub(crate) fn parameters(network: &impl Network, dtype: DType) -> Result<Parameters> {
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
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
        let section = |what: &str, held, tensors: Vec<Measured>| Section { name: format!("{name}, {what}"), held, tensors };
        let mut sections = Vec::new();
        if !described.inference.is_empty() {
            let pairs = self.outputs(network.infer(&self.exact)?, network.infer(&self.single)?);
            sections.push(section("inference", Held::Each, compare(&name, pairs, &described.inference)?));
        }
        if let Some(expected) = described.column(Column::Frozen) {
            let (_, exact) = network.train(&self.exact, Mode::Frozen)?;
            let (_, single) = network.train(&self.single, Mode::Frozen)?;
            let tensors = compare("gradient of", self.gradients(&exact, &single), &expected)?;
            sections.push(section("gradients with frozen statistics", Held::Each, tensors));
        }
        // Training moves the running statistics, so it has stores of its own.
        let (trained, trained_single) = (copy(&self.exact, DType::F64)?, copy(&self.exact, DType::F32)?);
        let (outputs, exact) = network.train(&trained, Mode::Train)?;
        let (outputs_single, single) = network.train(&trained_single, Mode::Train)?;
        let mut tensors = compare(&name, self.outputs(outputs, outputs_single), &described.training)?;
        tensors.extend(self.column(described, Column::Gradient, self.gradients(&exact, &single))?);
        let is_statistic = |name: &str, role: Role| role == Role::Buffer && !name.ends_with("num_batches_tracked");
        let statistics = values(&trained, &trained_single, is_statistic);
        tensors.extend(compare(&name, statistics, &described.statistics)?);
        sections.push(section("training", Held::Median, tensors));
        let Some(rates) = described.learning_rates else { return Ok(sections) };
        let sgd = OptimizerSpec::Sgd { learning_rate: rates.sgd, momentum: MOMENTUM, weight_decay: WEIGHT_DECAY };
        let adam = OptimizerSpec::Adam { learning_rate: rates.adam, weight_decay: WEIGHT_DECAY };
        for (what, column, spec) in [("SGD", Column::Sgd, sgd), ("Adam", Column::Adam, adam)] {
            let stepped = self.after_steps(network, spec, DType::F64, &exact)?;
            let stepped_single = self.after_steps(network, spec, DType::F32, &single)?;
            let pairs = values(&stepped, &stepped_single, |_, role| role.is_trainable());
            let tensors = self.column(described, column, pairs)?;
            sections.push(section(&format!("after {STEPS} steps of {what}"), Held::Median, tensors));
        }
        Ok(sections)
    }

    fn column<N>(
        &self,
        described: &Described<N>,
        column: Column,
        pairs: BTreeMap<String, Pair>,
    ) -> Result<Vec<Measured>> {
        let expected: Tensors = described.column(column).unwrap_or_default();
        compare(&format!("{column:?}"), pairs, &expected)
    }

    /// The first step's gradients are at hand.
    fn after_steps<N: Network>(
        &self,
        network: &N,
        spec: OptimizerSpec,
        dtype: DType,
        first: &Gradients,
    ) -> Result<Parameters> {
        let parameters = copy(&self.exact, dtype)?;
        let mut optimizer = Optimizer::new(spec);
        let mut step = |gradients: &Gradients| {
            optimizer.step(&parameters, gradients, spec.learning_rate()).map_err(candle_core::Error::wrap)
        };
        step(first)?;
        for _ in 1..STEPS {
            let (_, gradients) = network.train(&parameters, Mode::Train)?;
            step(&gradients)?;
        }
        Ok(parameters)
    }

    fn outputs(&self, exact: Outputs, mut single: Outputs) -> BTreeMap<String, Pair> {
        let join = |(name, exact): (String, Tensor)| {
            let single = single.remove(&name)?;
            Some((name, Pair { exact, single, role: Role::Buffer }))
        };
        exact.into_iter().filter_map(join).collect()
    }

    fn gradients(&self, exact: &Gradients, single: &Gradients) -> BTreeMap<String, Pair> {
        let join = |(name, parameter): (&str, &Parameter)| {
            let pair = Pair {
                exact: exact.get(name)?.clone(),
                single: single.get(name)?.clone(),
                role: parameter.role,
            };
            Some((name.to_owned(), pair))
        };
        self.exact.trainable().filter_map(join).collect()
    }
}

/// The values of what `chosen` says.
fn values(exact: &Parameters, single: &Parameters, chosen: impl Fn(&str, Role) -> bool) -> BTreeMap<String, Pair> {
    let join = |(name, parameter): (&str, &Parameter)| {
        let single = single.tensor(name).ok()?.clone();
        Some((name.to_owned(), Pair { exact: parameter.var.as_detached_tensor(), single, role: parameter.role }))
    };
    exact.iter().filter(|(name, parameter)| chosen(name, parameter.role)).filter_map(join).collect()
}
