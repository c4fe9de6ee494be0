//! A step of an optimiser.

use super::arithmetic::{
    AdamUpdate, FirstMoment, NesterovUpdate, Penalized, SecondMoment, SgdUpdate, Velocity, lars_rate,
};
use super::spec::{Algorithm, OptimizerSpec};
use crate::train::norm::square_sum;
use anyhow::{Context as _, Result, bail, ensure};
use candle_core::Tensor;
use indexmap::IndexMap;
use matssl_tensor::ops::gpu::{self, AdamStep, Gpu, MomentumStep, Row, Table};
use matssl_tensor::ops::in_place::InPlace;
use matssl_tensor::{Gradients, Parameters};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An optimiser and its state.
pub struct Optimizer {
    spec: OptimizerSpec,
    /// Factors of the learning rate by parameter; 1 for all others.
    factors: Arc<BTreeMap<String, f64>>,
    steps: u64,
    /// State by slot and parameter, e.g. `momentum/encoder.conv1.weight`; created at a parameter's first gradient.
    state: IndexMap<String, Tensor>,
    /// Number of steps before the first gradient of a parameter, where there were any: Adam's corrections count the steps of each
    /// parameter, as in PyTorch. Also in the state, as `begun/NAME`.
    begun: BTreeMap<String, u64>,
}

/// The slot of the state that holds when a parameter began.
const BEGUN: &str = "begun/";

/// One parameter that a step updates.
struct Part<'p> {
    name: &'p str,
    value: &'p Tensor,
    /// Contiguous.
    gradient: Tensor,
    decayed: bool,
    /// Of the learning rate.
    factor: f64,
}

/// The trainable parameters that have a gradient.
fn parts<'p>(
    spec: OptimizerSpec,
    factors: &'p BTreeMap<String, f64>,
    parameters: &'p Parameters,
    gradients: &'p Gradients,
) -> impl Iterator<Item = Result<Part<'p>>> {
    parameters.trainable().filter_map(move |(name, parameter)| {
        let (gradient, value) = (gradients.get(name)?, parameter.var.as_tensor());
        let part = || {
            let (found, expected) = (gradient.dims(), value.dims());
            ensure!(found == expected, "gradient of {name}: {found:?}, not {expected:?}");
            let (decayed, factor) = (spec.decays(parameter.role), factors.get(name).copied().unwrap_or(1.0));
            Ok(Part { name, value, gradient: gradient.contiguous()?, decayed, factor })
        };
        Some(part())
    })
}

/// Learning rate, and factor of the gradients.
#[derive(Clone, Copy)]
struct Rates {
    learning_rate: f64,
    scale: f64,
}

impl Optimizer {
    /// An optimiser before its first step.
    pub fn new(spec: OptimizerSpec) -> Self {
        Optimizer { spec, factors: Arc::default(), steps: 0, state: IndexMap::new(), begun: BTreeMap::new() }
    }

    /// The same, with the learning rate of each parameter in `factors` multiplied by its factor. On the CPU alone.
    pub fn with_factors(self, factors: BTreeMap<String, f64>) -> Self {
        Optimizer { factors: Arc::new(factors), ..self }
    }

    /// Updates every trainable parameter that has a gradient. Gradients are multiplied by `scale`: 1, or the factor of
    /// clipping and of the mean over several batches. The same bits for any number of threads. On a GPU one kernel
    /// updates all parameters (LARS first computes their norms, with three more).
    ///
    /// # Errors
    /// If a gradient and its parameter have different shapes, or the device is not supported.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        learning_rate: f64,
        scale: f64,
    ) -> Result<()> {
        self.steps += 1;
        let rates = Rates { learning_rate, scale };
        let factors = self.factors.clone();
        let mut parts = parts(self.spec, &factors, parameters, gradients);
        match gpu::find(parameters.device())? {
            Some(_) if !factors.is_empty() => bail!("learning rates that differ between layers have no GPU side yet"),
            Some(gpu) => parts.collect::<Result<Vec<_>>>().and_then(|parts| self.step_on(&*gpu, &parts, rates)),
            None => parts.try_for_each(|part| {
                let part = part?;
                self.step_one(&part, Rates { learning_rate: part.factor * learning_rate, ..rates })
            }),
        }
    }

    /// One parameter on the CPU.
    fn step_one(&mut self, part: &Part<'_>, rates: Rates) -> Result<()> {
        let weight_decay = if part.decayed { self.spec.weight_decay } else { 0.0 };
        match self.spec.algorithm {
            Algorithm::Sgd { momentum, nesterov } => {
                let penalized = Penalized { scale: rates.scale, weight_decay, rate: 1.0 };
                self.by_momentum(part, penalized, momentum, nesterov, rates)
            }
            Algorithm::Lars { momentum, nesterov, trust_coefficient, epsilon } => {
                let norms = [square_sum(part.value)?.sqrt(), rates.scale * square_sum(&part.gradient)?.sqrt()];
                let [rate, weight_decay] = lars_rate(norms, weight_decay, trust_coefficient, epsilon);
                let penalized = Penalized { scale: rates.scale, weight_decay, rate };
                self.by_momentum(part, penalized, momentum, nesterov, rates)
            }
            Algorithm::Adam { betas, epsilon, decoupled } => {
                let (added, shrink) = self.decay(decoupled, weight_decay, rates);
                let penalized = Penalized { scale: rates.scale, weight_decay: added, rate: 1.0 };
                let (value, gradient) = (part.value, &part.gradient);
                let [first, second] = [self.slot("first_moment", part)?, self.slot("second_moment", part)?];
                first.inplace_op3(gradient, value, &InPlace(FirstMoment { beta: betas[0], penalized }))?;
                second.inplace_op3(gradient, value, &InPlace(SecondMoment { beta: betas[1], penalized }))?;
                let [step_size, root_of_correction] = self.bias_corrected(betas, rates, self.own_steps(part));
                let update = AdamUpdate { shrink, step_size, root_of_correction, epsilon };
                value.inplace_op3(&first, &second, &InPlace(update))?;
                Ok(())
            }
        }
    }

    fn by_momentum(
        &mut self,
        part: &Part<'_>,
        penalized: Penalized,
        momentum: f64,
        nesterov: bool,
        Rates { learning_rate, .. }: Rates,
    ) -> Result<()> {
        let (value, gradient, velocity) = (part.value, &part.gradient, self.slot("momentum", part)?);
        velocity.inplace_op3(gradient, value, &InPlace(Velocity { keep: momentum, penalized }))?;
        if nesterov {
            let update = NesterovUpdate { learning_rate, momentum, penalized };
            value.inplace_op3(gradient, &velocity, &InPlace(update))?;
        } else {
            value.inplace_op2(&velocity, &InPlace(SgdUpdate { learning_rate }))?;
        }
        Ok(())
    }

    /// All parameters on a GPU.
    fn step_on(&mut self, gpu: &dyn Gpu, parts: &[Part<'_>], rates: Rates) -> Result<()> {
        let names: &[&str] = match self.spec.algorithm {
            Algorithm::Sgd { .. } | Algorithm::Lars { .. } => &["momentum"],
            Algorithm::Adam { .. } => &["first_moment", "second_moment"],
        };
        let slots = |part| names.iter().map(|name| self.slot(name, part)).collect::<Result<Vec<Tensor>>>();
        let slots = parts.iter().map(slots).collect::<Result<Vec<_>>>()?;
        if !self.begun.is_empty() {
            bail!("parameters that are trained from a later step on have no GPU side yet");
        }
        let with_slots = parts.iter().zip(&slots);
        let rows: Vec<Row<'_>> = with_slots
            .map(|(part, slots)| Row {
                value: part.value,
                gradient: &part.gradient,
                slots: [slots.first(), slots.get(1)],
                decayed: part.decayed,
            })
            .collect();
        let table = Table::new(gpu, &rows)?;
        let Rates { learning_rate, scale } = rates;
        let weight_decay = self.spec.weight_decay;
        match self.spec.algorithm {
            Algorithm::Sgd { momentum, nesterov } => {
                table.sgd(&MomentumStep { learning_rate, momentum, nesterov, scale, weight_decay }, None)?;
            }
            Algorithm::Lars { momentum, nesterov, trust_coefficient, epsilon } => {
                let adapted = table.lars_rates(scale, weight_decay, trust_coefficient, epsilon)?;
                let step = MomentumStep { learning_rate, momentum, nesterov, scale, weight_decay };
                table.sgd(&step, Some(&adapted))?;
            }
            Algorithm::Adam { betas, epsilon, decoupled } => {
                let (weight_decay, shrink) = self.decay(decoupled, weight_decay, rates);
                let [step_size, root] = self.bias_corrected(betas, rates, self.steps);
                table.adam(&AdamStep { step_size, root, betas, epsilon, scale, weight_decay, shrink })?;
            }
        }
        Ok(())
    }

    /// The weight decay that is added to the gradient, and the factor of the value itself.
    fn decay(&self, decoupled: bool, weight_decay: f64, rates: Rates) -> (f64, f64) {
        if decoupled { (0.0, 1.0 - rates.learning_rate * weight_decay) } else { (weight_decay, 1.0) }
    }

    /// Number of steps of a parameter that has its slots, this one included.
    fn own_steps(&self, part: &Part<'_>) -> u64 {
        self.steps - self.begun.get(part.name).copied().unwrap_or(0)
    }

    /// Adam's step size, and the square root of the second moment's bias correction, at step `steps` of a parameter.
    fn bias_corrected(&self, [beta_1, beta_2]: [f64; 2], rates: Rates, steps: u64) -> [f64; 2] {
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        [rates.learning_rate / (1.0 - beta_1.powi(steps)), (1.0 - beta_2.powi(steps)).sqrt()]
    }

    /// Shares its memory with the state.
    fn slot(&mut self, slot: &str, part: &Part<'_>) -> Result<Tensor> {
        let key = format!("{slot}/{}", part.name);
        if !self.state.contains_key(&key) {
            self.state.insert(key.clone(), part.value.zeros_like()?);
            let before = self.steps - 1;
            if before > 0 && !self.begun.contains_key(part.name) {
                self.begun.insert(part.name.to_owned(), before);
                let before = Tensor::new(i64::try_from(before)?, part.value.device())?;
                self.state.insert(format!("{BEGUN}{}", part.name), before);
            }
        }
        self.state.get(&key).cloned().context("a slot that was just made")
    }

    /// Number of steps taken.
    pub(in super::super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The state by name, for a checkpoint.
    pub(in super::super) fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.state.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Restores the state from [`Optimizer::state`] and [`Optimizer::steps`].
    ///
    /// # Errors
    /// If the state holds something else than a number of steps where there is one.
    pub(in super::super) fn restore(&mut self, steps: u64, state: IndexMap<String, Tensor>) -> Result<()> {
        self.begun.clear();
        for (key, before) in &state {
            if let Some(name) = key.strip_prefix(BEGUN) {
                self.begun.insert(name.to_owned(), u64::try_from(before.to_scalar::<i64>()?)?);
            }
        }
        self.steps = steps;
        self.state = state;
        Ok(())
    }
}
