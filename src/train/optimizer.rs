//! Optimisers, exactly as PyTorch computes them: SGD with momentum and Adam, both with L2 weight decay.
//!
//! A step moves the parameters in place, in the order of the store. Weight decay applies to every trainable parameter,
//! batch norms and gates included, as `torch.optim.X(model.parameters(), weight_decay=…)` does.

use super::update::{AdamUpdate, Decay, FirstMoment, SecondMoment, SgdUpdate};
use crate::nn::ops::gpu::{self, Gpu, Row, Table};
use crate::nn::ops::in_place::InPlace;
use crate::nn::{Gradients, Parameters};
use anyhow::{Context as _, Result, ensure};
use candle_core::Tensor;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// An optimiser and its parameters, as in `optimizer = { name = "sgd", learning_rate = 0.1, … }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum OptimizerSpec {
    /// `torch.optim.SGD` without dampening and Nesterov.
    Sgd {
        /// Learning rate at the start; the schedule changes it.
        learning_rate: f64,
        /// Part of the last step that is kept: 0.9 by default.
        momentum: f64,
        /// L2 penalty added to the gradient: 0 by default.
        weight_decay: f64,
    },
    /// `torch.optim.Adam` with β = (0.9, 0.999), ε = 1e-8.
    Adam {
        /// Learning rate at the start; the schedule changes it.
        learning_rate: f64,
        /// L2 penalty added to the gradient (not AdamW's): 0 by default.
        weight_decay: f64,
    },
}

/// PyTorch's defaults of Adam.
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Sgd,
    Adam,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Name,
    learning_rate: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    #[serde(default)]
    weight_decay: f64,
}

impl TryFrom<Written> for OptimizerSpec {
    type Error = String;

    fn try_from(Written { name, learning_rate, momentum, weight_decay }: Written) -> Result<Self, String> {
        // Written so that NaN fails too.
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return Err(format!("learning_rate = {learning_rate}: a learning rate is above 0"));
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Err(format!("weight_decay = {weight_decay}: a weight decay is 0 or above"));
        }
        match (name, momentum) {
            (Name::Sgd, momentum) => match momentum.unwrap_or(0.9) {
                momentum if (0.0..1.0).contains(&momentum) => {
                    Ok(OptimizerSpec::Sgd { learning_rate, momentum, weight_decay })
                }
                momentum => Err(format!("momentum = {momentum}: a momentum lies in 0 ≤ momentum < 1")),
            },
            (Name::Adam, None) => Ok(OptimizerSpec::Adam { learning_rate, weight_decay }),
            (Name::Adam, Some(_)) => Err("`momentum` belongs to sgd; adam has none".into()),
        }
    }
}

impl From<OptimizerSpec> for Written {
    fn from(spec: OptimizerSpec) -> Written {
        match spec {
            OptimizerSpec::Sgd { learning_rate, momentum, weight_decay } => {
                Written { name: Name::Sgd, learning_rate, momentum: Some(momentum), weight_decay }
            }
            OptimizerSpec::Adam { learning_rate, weight_decay } => {
                Written { name: Name::Adam, learning_rate, momentum: None, weight_decay }
            }
        }
    }
}

impl OptimizerSpec {
    /// The learning rate that the schedule starts from.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            OptimizerSpec::Sgd { learning_rate, .. } | OptimizerSpec::Adam { learning_rate, .. } => learning_rate,
        }
    }

    /// Tensors of a trained parameter's size that its state takes. SGD keeps its velocity whatever the momentum.
    pub(super) fn state_copies(&self) -> u64 {
        match self {
            OptimizerSpec::Sgd { .. } => 1,
            OptimizerSpec::Adam { .. } => 2,
        }
    }
}

/// An optimiser at work.
pub struct Optimizer {
    spec: OptimizerSpec,
    steps: u64,
    /// By slot and parameter, e.g. `momentum/encoder.conv1.weight`; made at a parameter's first gradient.
    state: IndexMap<String, Tensor>,
}

impl Optimizer {
    /// At rest: no step taken.
    pub fn new(spec: OptimizerSpec) -> Self {
        Optimizer { spec, steps: 0, state: IndexMap::new() }
    }

    /// Moves every trainable parameter that has a gradient.
    ///
    /// # Errors
    /// If a gradient's shape is not its parameter's, or the device has no such update.
    pub fn step(&mut self, parameters: &Parameters, gradients: &Gradients, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        if let Some(gpu) = gpu::find(parameters.device())? {
            return self.step_on(&*gpu, parameters, gradients, learning_rate);
        }
        for (name, parameter) in parameters.trainable() {
            let Some(gradient) = gradients.get(name) else { continue };
            let value = parameter.var.as_tensor();
            ensure!(
                gradient.dims() == value.dims(),
                "gradient of {name}: {:?}, not {:?}",
                gradient.dims(),
                value.dims()
            );
            let gradient = gradient.contiguous()?;
            match self.spec {
                OptimizerSpec::Sgd { momentum, weight_decay, .. } => {
                    let velocity = self.slot("momentum", name, value)?;
                    velocity.inplace_op3(&gradient, value, &InPlace(Decay { keep: momentum, weight_decay }))?;
                    value.inplace_op2(velocity, &InPlace(SgdUpdate { learning_rate }))?;
                }
                OptimizerSpec::Adam { weight_decay, .. } => {
                    let first = self.slot("first_moment", name, value)?.clone();
                    let second = self.slot("second_moment", name, value)?.clone();
                    first.inplace_op3(&gradient, value, &InPlace(FirstMoment { beta: BETA_1, weight_decay }))?;
                    second.inplace_op3(&gradient, value, &InPlace(SecondMoment { beta: BETA_2, weight_decay }))?;
                    let [step_size, root_of_correction] = self.bias_corrected(learning_rate);
                    let update = AdamUpdate { step_size, root_of_correction, epsilon: EPSILON };
                    value.inplace_op3(&first, &second, &InPlace(update))?;
                }
            }
        }
        Ok(())
    }

    /// Adam's step size, and the root of the second moment's correction.
    fn bias_corrected(&self, learning_rate: f64) -> [f64; 2] {
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        [learning_rate / (1.0 - BETA_1.powi(steps)), (1.0 - BETA_2.powi(steps)).sqrt()]
    }

    /// All parameters by one kernel.
    fn step_on(
        &mut self,
        gpu: &dyn Gpu,
        parameters: &Parameters,
        gradients: &Gradients,
        learning_rate: f64,
    ) -> Result<()> {
        let slots = match self.spec {
            OptimizerSpec::Sgd { .. } => [Some("momentum"), None],
            OptimizerSpec::Adam { .. } => [Some("first_moment"), Some("second_moment")],
        };
        let mut owned = Vec::new();
        for (name, parameter) in parameters.trainable() {
            let Some(gradient) = gradients.get(name) else { continue };
            let value = parameter.var.as_tensor();
            let (found, expected) = (gradient.dims(), value.dims());
            ensure!(found == expected, "gradient of {name}: {found:?}, not {expected:?}");
            let mut slot = |slot: Option<&str>| slot.map(|slot| self.slot(slot, name, value).cloned()).transpose();
            owned.push((value, gradient.contiguous()?, [slot(slots[0])?, slot(slots[1])?]));
        }
        let rows: Vec<Row<'_>> = owned
            .iter()
            .map(|(value, gradient, [first, second])| Row { value, gradient, slots: [first.as_ref(), second.as_ref()] })
            .collect();
        let table = Table::new(gpu, &rows)?;
        match self.spec {
            OptimizerSpec::Sgd { momentum, weight_decay, .. } => table.sgd(learning_rate, momentum, weight_decay)?,
            OptimizerSpec::Adam { weight_decay, .. } => {
                let step = self.bias_corrected(learning_rate);
                table.adam(step, [BETA_1, BETA_2], EPSILON, weight_decay)?;
            }
        }
        Ok(())
    }

    fn slot(&mut self, slot: &str, name: &str, like: &Tensor) -> Result<&Tensor> {
        let key = format!("{slot}/{name}");
        if !self.state.contains_key(&key) {
            self.state.insert(key.clone(), like.zeros_like()?);
        }
        self.state.get(&key).context("a slot that was just made")
    }

    /// Steps taken.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The state by name, for a checkpoint.
    pub(super) fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.state.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Takes up what [`Optimizer::state`] and [`Optimizer::steps`] gave.
    pub(super) fn restore(&mut self, steps: u64, state: IndexMap<String, Tensor>) {
        self.steps = steps;
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Role;
    use candle_core::{DType, Device};

    /// Three steps on two parameters, gradients sin(step + i), one learning rate a step.
    fn three_steps(spec: OptimizerSpec, dtype: DType) -> Vec<f64> {
        let mut parameters = Parameters::new(dtype, &Device::Cpu);
        let values = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        parameters.insert("a", values(&[0.5, -1.25, 2.0]), Role::LinearWeight).unwrap();
        parameters.insert("b", values(&[-0.75]), Role::Bias).unwrap();
        parameters.insert("still", values(&[3.0]), Role::Bias).unwrap();
        let mut optimizer = Optimizer::new(spec);
        for (step, learning_rate) in [0.1, 0.05, 0.02].into_iter().enumerate() {
            let at = |i: usize| ((step + i) as f64).sin();
            let mut gradients = Gradients::new();
            gradients.add("b", values(&[at(7)])).unwrap();
            gradients.add("a", values(&[at(0), at(1), at(2)])).unwrap();
            optimizer.step(&parameters, &gradients, learning_rate).unwrap();
        }
        assert_eq!(parameters.tensor("still").unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap(), [3.0]);
        let mut end: Vec<f64> = parameters.tensor("a").unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap();
        end.extend(parameters.tensor("b").unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap());
        end
    }

    fn close(ours: &[f64], torch: &[f64], tolerance: f64) {
        assert_eq!(ours.len(), torch.len());
        for (ours, torch) in ours.iter().zip(torch) {
            assert!((ours - torch).abs() <= tolerance * torch.abs(), "{ours} {torch}");
        }
    }

    // The values below are torch 2.11.0's, in float64.

    /// On the CPU's side and the GPU's.
    fn check(spec: OptimizerSpec, torch: &[f64]) {
        for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 1e-6)] {
            close(&three_steps(spec, dtype), torch, tolerance);
            if let Some(found) = gpu::pretend::on(|| three_steps(spec, dtype)) {
                close(&found, torch, tolerance);
            }
        }
    }

    #[test]
    fn sgd_is_pytorchs() {
        let spec = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.03 };
        check(spec, &[0.42088608227609364, -1.4406947108143813, 1.8442971560684676, -0.9256043859448618]);
    }

    #[test]
    fn adam_is_pytorchs() {
        let spec = OptimizerSpec::Adam { learning_rate: 0.1, weight_decay: 0.03 };
        check(spec, &[0.34489728837469946, -1.416555903388452, 1.856954950513058, -0.918060879333474]);
    }

    #[test]
    fn written_form_has_all_defaults_and_refuses_what_makes_no_sense() {
        let read = |text: &str| toml::from_str::<OptimizerSpec>(text);
        let sgd = read("name = 'sgd'\nlearning_rate = 0.1").unwrap();
        assert_eq!(
            serde_json::to_string(&sgd).unwrap(),
            r#"{"name":"sgd","learning_rate":0.1,"momentum":0.9,"weight_decay":0.0}"#
        );
        let refused = [
            ("name = 'adam'\nlearning_rate = 0.1\nmomentum = 0.9", "`momentum` belongs to sgd"),
            ("name = 'sgd'\nlearning_rate = -0.1", "above 0"),
            ("name = 'sgd'\nlearning_rate = nan", "above 0"),
            ("name = 'sgd'\nlearning_rate = 0.1\nmomentum = 1.0", "0 ≤ momentum < 1"),
            ("name = 'sgd'\nlearning_rate = 0.1\nweight_decay = -1.0", "0 or above"),
            ("name = 'sgd'\nlearning_rat = 0.1", "unknown field `learning_rat`"),
            ("name = 'lamb'\nlearning_rate = 0.1", "expected `sgd` or `adam`"),
        ];
        for (text, expected) in refused {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
