//! Whole networks: outputs, the gradient of every parameter, running statistics, and the weights after three steps of
//! SGD and Adam.

mod encoder;
mod matssl;
mod se_resnet;
mod segmentation;
mod swin;
mod vit;

use crate::bound::Sums;
use crate::fixture::{self, Column, Described, Tensors};
use crate::hashed;
use crate::measure::{Measured, Pair, Pairs, compare};
use crate::part::{Done, Part};
use crate::section::{Held, Section, attempt, together};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{Arch, Architecture, Gradients, Mode, Parameters, Role};
use matssl_run::train::OptimizerSpec;
use matssl_run::train::optimizer::Optimizer;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

pub(crate) use encoder::Encoder;
pub(crate) use segmentation::Segmentation;
pub(crate) use swin::Swin;

const STEPS: usize = 3;
const AFTER_SGD: &str = "after 3 steps of SGD";
const AFTER_ADAM: &str = "after 3 steps of Adam";
/// What is held together on a GPU alone. Its longer sums flip ReLUs that do not flip in PyTorch on a CPU: emulated
/// ([`limit`](crate::bound::limit)), one flip in U-Net++ on ResNet-18 makes its gradients' errors with frozen statistics 30
/// times PyTorch's in the middle, and in training it is 50 and 1,900 times for two networks of sixteen.
const GRADIENTS: &str = "gradients and training";
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

    /// What its gradients with frozen statistics are held to on a CPU.
    fn gradients_held(&self) -> Held {
        Held::Each
    }

    /// Its hashed input, `[batch, height, width, 3]`.
    fn image(&self, dtype: DType) -> Result<Tensor>;

    /// Its outputs in inference mode.
    fn infer(&self, parameters: &Parameters) -> Result<Outputs>;

    /// Outputs, loss if it has one, and gradients.
    fn train(&self, parameters: &Parameters, mode: Mode) -> Result<(Outputs, Gradients)>;
}

/// In the table's order.
pub(crate) static PARTS: [&Part; 6] =
    [&encoder::PART, &segmentation::PART, &matssl::PART, &se_resnet::PART, &vit::PART, &swin::PART];

#[test]
fn networks_held_together_are_as_good_as_pytorchs() {
    let sections: Vec<Section> = PARTS.iter().flat_map(|part| part.sections()).cloned().collect();
    let ratios = together(&sections, Section::median);
    for (what, share) in together(&sections, Section::share) {
        let ratio = ratios[what];
        assert!(
            share <= 1.0,
            "{what}: in the middle of the networks float32 errors are {ratio:.2} × PyTorch's, {share:.2} × what is allowed"
        );
    }
}

/// The networks of `section` in the fixture.
fn sections<N: Network>(section: &str, done: Done<'_>) {
    sections_of::<N>(include_str!("../networks.json"), section, done);
}

/// The networks of `section` in the fixtures `text`.
fn sections_of<N: Network>(text: &str, section: &str, done: Done<'_>) {
    let networks = fixture::section::<Described<N>>(text, section);
    let mut made = BTreeMap::new();
    for described in networks {
        let comparison = match made.entry(described.network.weights()) {
            Entry::Occupied(present) => Ok(present.into_mut()),
            Entry::Vacant(place) => attempt(|| Comparison::new(&described)).map(|comparison| place.insert(comparison)),
        };
        match comparison {
            Ok(comparison) => comparison.sections(&described, done),
            Err(why) => done(Section::failed(described.network.name(), why)),
        }
    }
}

/// Products to a sum, on average over all convolutions and linear layers.
fn average_products(parameters: &Parameters) -> usize {
    let products = |role: Role, dims: &[usize]| match (role, dims) {
        (Role::ConvWeight, &[height, width, inputs, _]) => Some(height * width * inputs),
        (Role::LinearWeight, &[_, inputs]) => Some(inputs),
        _ => None,
    };
    let layers: Vec<usize> =
        parameters.iter().filter_map(|(_, parameter)| products(parameter.role, parameter.var.dims())).collect();
    layers.iter().sum::<usize>() / layers.len().max(1)
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
    sums: Sums,
}

/// A pass in training mode, in both precisions.
struct Trained {
    outputs: [Outputs; 2],
    gradients: [Gradients; 2],
    /// With the running statistics that it left.
    parameters: [Parameters; 2],
}

impl Comparison {
    fn new<N: Network>(described: &Described<N>) -> Result<Self> {
        let exact = parameters(&described.network, DType::F64)?;
        let single = copy(&exact, DType::F32)?;
        let sums = Sums::Layers(average_products(&exact));
        Ok(Comparison { exact, single, sums })
    }

    /// Compares what the network gives by the columns of the fixture; a failure loses its own section, and in the first
    /// training pass those that need its gradients.
    fn sections<N: Network>(&self, described: &Described<N>, done: Done<'_>) {
        let (network, name) = (&described.network, described.network.name());
        let [gradients_held, training_held] = match hashed::is_on_gpu() {
            true => [Held::Together(GRADIENTS); 2],
            false => [network.gradients_held(), Held::Median],
        };
        if !described.inference.is_empty() {
            done(Section::of(format!("{name}, inference"), Held::Each, || {
                let pairs = outputs(network.infer(&self.exact)?, &network.infer(&self.single)?)?;
                Ok::<_, candle_core::Error>(self.compare("", &pairs, &described.inference))
            }));
        }
        if let Some(expected) = described.column(Column::Frozen) {
            done(Section::of(format!("{name}, gradients with frozen statistics"), gradients_held, || {
                let (_, exact) = network.train(&self.exact, Mode::Frozen)?;
                let (_, single) = network.train(&self.single, Mode::Frozen)?;
                Ok::<_, candle_core::Error>(self.compare("", &self.gradients(&exact, &single)?, &expected))
            }));
        }
        let training = format!("{name}, training");
        let trained = match attempt(|| self.train(network)) {
            Ok(trained) => trained,
            Err(why) => return done(Section::failed(training, why)),
        };
        done(Section::of(training, training_held, || self.training(described, &trained)));
        let Some(rates) = described.learning_rates else { return };
        let sgd = OptimizerSpec::sgd(rates.sgd, MOMENTUM, WEIGHT_DECAY);
        let adam = OptimizerSpec::adam(rates.adam, WEIGHT_DECAY);
        for (what, column, spec) in [(AFTER_SGD, Column::Sgd, sgd), (AFTER_ADAM, Column::Adam, adam)] {
            done(Section::of(format!("{name}, {what}"), Held::Together(what), || {
                let [exact, single] = &trained.gradients;
                let stepped = self.after_steps(network, spec, DType::F64, exact)?;
                let stepped_single = self.after_steps(network, spec, DType::F32, single)?;
                let pairs = values(&stepped, &stepped_single, |_, role| role.is_trainable())?;
                let expected = described.column(column).unwrap_or_default();
                Ok::<_, candle_core::Error>(self.compare("", &pairs, &expected))
            }));
        }
    }

    fn compare(&self, case: &str, pairs: &Pairs, expected: &Tensors) -> Vec<Measured> {
        compare(case, pairs, expected, |_| self.sums)
    }

    /// Training moves the running statistics, so it has stores of its own.
    fn train(&self, network: &impl Network) -> Result<Trained> {
        let (exact, single) = (copy(&self.exact, DType::F64)?, copy(&self.exact, DType::F32)?);
        let (exact_outputs, exact_gradients) = network.train(&exact, Mode::Train)?;
        let (single_outputs, single_gradients) = network.train(&single, Mode::Train)?;
        Ok(Trained {
            outputs: [exact_outputs, single_outputs],
            gradients: [exact_gradients, single_gradients],
            parameters: [exact, single],
        })
    }

    /// Outputs, gradients and running statistics.
    fn training<N>(&self, described: &Described<N>, trained: &Trained) -> Result<Vec<Measured>> {
        let Trained { outputs: [exact, single], gradients, parameters: [store, single_store] } = trained;
        let mut tensors = self.compare("", &outputs(exact.clone(), single)?, &described.training);
        let expected = described.column(Column::Gradient).unwrap_or_default();
        tensors.extend(self.compare("gradient of", &self.gradients(&gradients[0], &gradients[1])?, &expected));
        let is_statistic = |name: &str, role: Role| role == Role::Buffer && !name.ends_with("num_batches_tracked");
        tensors.extend(self.compare("", &values(store, single_store, is_statistic)?, &described.statistics));
        Ok(tensors)
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

/// What is left out on a GPU, no network may have.
#[test]
fn networks_have_square_kernels_of_1_3_and_7() {
    let (architecture, arch) = (Architecture::UnetPlusPlus, Arch::ResNet50);
    let network = Segmentation { architecture, arch, classes: 2, batch: 1, size: [32, 32] };
    let parameters = parameters(&network, DType::F32).expect("a network");
    let mut kernels: Vec<&[usize]> = Vec::new();
    for (_, parameter) in parameters.iter().filter(|(_, parameter)| parameter.role == Role::ConvWeight) {
        kernels.push(&parameter.var.dims()[..2]);
    }
    kernels.sort_unstable();
    kernels.dedup();
    assert_eq!(kernels, [[1, 1], [3, 3], [7, 7]]);
}
