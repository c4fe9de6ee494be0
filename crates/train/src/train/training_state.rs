//! The state of a training besides the parameters, and its checkpoint.

use super::averaged_weights::AveragedWeights;
use super::checkpoint::Checkpoint;
use super::epoch_sums::EpochSums;
use super::history::History;
use super::optimizer::{Optimizer, OptimizerSpec};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use indexmap::IndexMap;
use matssl_tensor::{Gradients, Parameters};
use std::collections::BTreeMap;

/// Name prefixes in a checkpoint.
const PARAMETER: &str = "parameter/";
const OPTIMIZER: &str = "optimizer/";
const AVERAGE: &str = "average/";
const BEST: &str = "best/";

/// The parameters and buffers of the best epoch so far.
#[derive(Debug)]
pub struct Best {
    /// Counted from 1.
    pub epoch: u64,
    /// Its score.
    pub score: f64,
    tensors: IndexMap<String, Tensor>,
}

impl Best {
    /// Puts the best epoch's values into `parameters`.
    ///
    /// # Errors
    /// If the parameters are not those of the training.
    pub fn restore(&self, parameters: &Parameters) -> Result<()> {
        set(parameters, &self.tensors)
    }
}

/// The state of a training besides the parameters.
pub(super) struct TrainingState {
    pub(super) history: History,
    pub(super) running: EpochSums,
    pub(super) optimizer: Optimizer,
    pub(super) averages: Option<AveragedWeights>,
    pub(super) best: Option<Best>,
}

impl TrainingState {
    /// Before the first epoch; `factors` are those of the learning rate by parameter.
    pub(super) fn new(
        optimizer: OptimizerSpec,
        factors: BTreeMap<String, f64>,
        averages: Option<AveragedWeights>,
        columns: Vec<String>,
    ) -> Self {
        let (history, running) = (History::new(columns), EpochSums::default());
        let optimizer = Optimizer::new(optimizer).with_factors(factors);
        TrainingState { history, running, optimizer, averages, best: None }
    }

    /// Updates `parameters` with `scale` times the gradients, then the averages.
    pub(super) fn update(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        learning_rate: f64,
        scale: f64,
    ) -> Result<()> {
        self.optimizer.step(parameters, gradients, learning_rate, scale)?;
        self.averages.as_ref().map_or(Ok(()), |averages| averages.follow(parameters, self.optimizer.steps()))
    }

    /// Exchanges `parameters` and their averages, if there are any.
    pub(super) fn swap_averages(&mut self, parameters: &Parameters) -> Result<()> {
        self.averages.as_mut().map_or(Ok(()), |averages| averages.swap(parameters))
    }

    /// Copies `parameters` if `score` is higher than all earlier ones; NaN never is.
    pub(super) fn keep_if_best(&mut self, epoch: u64, score: Option<f64>, parameters: &Parameters) -> Result<()> {
        let Some(score) = score.filter(|score| !score.is_nan()) else { return Ok(()) };
        if self.best.as_ref().is_none_or(|best| score > best.score) {
            let mut tensors = IndexMap::new();
            for (name, parameter) in parameters.iter() {
                // A deep copy: the optimiser updates the parameters in place.
                tensors.insert(name.to_owned(), parameter.var.as_detached_tensor().copy()?);
            }
            self.best = Some(Best { epoch, score, tensors });
        }
        Ok(())
    }

    /// The complete state before the next step. It shares storage with `parameters`: save it before the next step.
    pub(super) fn checkpoint(&self, parameters: &Parameters) -> Checkpoint {
        let mut tensors = IndexMap::new();
        for (name, parameter) in parameters.iter() {
            tensors.insert(format!("{PARAMETER}{name}"), parameter.var.as_detached_tensor());
        }
        for (name, tensor) in self.optimizer.state() {
            tensors.insert(format!("{OPTIMIZER}{name}"), tensor.clone());
        }
        for (name, tensor) in self.averages.iter().flat_map(AveragedWeights::tensors) {
            tensors.insert(format!("{AVERAGE}{name}"), tensor.clone());
        }
        for (name, tensor) in self.best.iter().flat_map(|best| &best.tensors) {
            tensors.insert(format!("{BEST}{name}"), tensor.clone());
        }
        Checkpoint {
            history: self.history.clone(),
            running: self.running.clone(),
            optimizer_steps: self.optimizer.steps(),
            best: self.best.as_ref().map(|best| (best.epoch, best.score)),
            tensors,
        }
    }

    /// Restores a checkpoint, including `parameters`.
    pub(super) fn restore(&mut self, checkpoint: Checkpoint, parameters: &Parameters) -> Result<()> {
        let prefixes = [PARAMETER, OPTIMIZER, AVERAGE, BEST];
        let mut parts = prefixes.map(|_| IndexMap::new());
        for (name, tensor) in checkpoint.tensors {
            for (prefix, part) in prefixes.iter().zip(&mut parts) {
                if let Some(name) = name.strip_prefix(prefix) {
                    part.insert(name.to_owned(), tensor.clone());
                }
            }
        }
        let [values, slots, averages, best] = parts;
        set(parameters, &values)?;
        if let Some(kept) = &mut self.averages {
            kept.restore(averages)?;
        }
        self.history = checkpoint.history;
        self.running = checkpoint.running;
        self.optimizer.restore(checkpoint.optimizer_steps, slots)?;
        self.best = checkpoint.best.map(|(epoch, score)| Best { epoch, score, tensors: best });
        Ok(())
    }
}

fn set(parameters: &Parameters, values: &IndexMap<String, Tensor>) -> Result<()> {
    ensure!(values.len() == parameters.len(), "{} tensors for {} parameters", values.len(), parameters.len());
    for (name, parameter) in parameters.iter() {
        let value = values.get(name).with_context(|| format!("no value for {name}"))?;
        let variable = &parameter.var;
        ensure!(
            value.dims() == variable.dims() && value.dtype() == variable.dtype(),
            "{name} is {:?} {:?}, its value {:?} {:?}",
            variable.dtype(),
            variable.dims(),
            value.dtype(),
            value.dims()
        );
        variable.set(value)?;
    }
    Ok(())
}
