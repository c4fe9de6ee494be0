//! The ordered store of a network's parameters, and the gradients that belong to it.

use super::name::join;
use super::ops::sum;
use super::precision::Precision;
use candle_core::{DType, Device, Result, Tensor, Var, bail};
use indexmap::IndexMap;
use indexmap::map::Entry;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a parameter is: decides its layout in files, and whether it is trained at all. Weight decay makes a
/// difference between roles only if an optimiser's `decay_norms_and_biases` is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Kernel of a convolution, stored as `[kernel height, kernel width, channels in, channels out]` (HWIO; PyTorch
    /// has OIHW), so that a convolution is a product of rows of pixels with it as it lies.
    ConvWeight,
    /// Weight of a linear layer, `[out, in]` as in PyTorch.
    LinearWeight,
    /// Bias of a convolution or linear layer, `[out]`.
    Bias,
    /// Scale (gamma) of a normalisation, `[channels]`; also a method's own vectors of factors, such as gates.
    NormWeight,
    /// Shift (beta) of a normalisation, `[channels]`.
    NormBias,
    /// State that no gradient reaches, such as running statistics.
    Buffer,
}

impl Role {
    /// Whether an optimiser moves it.
    pub fn is_trainable(self) -> bool {
        self != Role::Buffer
    }
}

/// One named tensor of a network.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its value; `Var::set` changes it in place.
    pub var: Var,
    /// What it is.
    pub role: Role,
}

/// A network's parameters and buffers, in the order in which they were inserted.
#[derive(Debug)]
pub struct Parameters {
    entries: IndexMap<String, Parameter>,
    dtype: DType,
    device: Device,
    precision: Precision,
    recompute: bool,
    zeros: bool,
    /// What the names of the parameters begin with that a training leaves as they are.
    frozen: Option<String>,
    /// What the names of the batch norms begin with that a training leaves at their running statistics.
    frozen_norms: Option<String>,
    /// Of parameters for inference: by batch norm, the bias that it has become. The weight of its convolution has its scale.
    folded: Option<Mutex<HashMap<String, Tensor>>>,
}

impl Parameters {
    /// An empty store; `dtype` (float32 or float64) and `device` are what networks build their tensors with.
    pub fn new(dtype: DType, device: &Device) -> Self {
        let (entries, precision) = (IndexMap::new(), Precision::default());
        let device = device.clone();
        Parameters {
            entries,
            dtype,
            device,
            precision,
            recompute: false,
            zeros: false,
            frozen: None,
            frozen_norms: None,
            folded: None,
        }
    }

    /// The same, for networks that compute with `precision`.
    pub fn with_precision(self, precision: Precision) -> Self {
        Parameters { precision, ..self }
    }

    /// The same, for networks that, if `recompute`, keep little of a training pass and compute the rest again in the
    /// backward pass: about half the memory for a third more time, and the same bits.
    pub fn with_recompute(self, recompute: bool) -> Self {
        Parameters { recompute, ..self }
    }

    /// The same, for a training that leaves the part of the network below `prefix` as it is: its parameters are not trained, and
    /// [`Tape::of_part`](crate::Tape::of_part) runs it as in a prediction.
    pub fn with_frozen(self, prefix: &str) -> Self {
        Parameters { frozen: Some(join(prefix, "")), ..self }
    }

    /// Freezes the part of the network below `prefix` from now on, as [`Parameters::with_frozen`]; `None`: all is trained.
    pub fn set_frozen(&mut self, prefix: Option<&str>) {
        self.frozen = prefix.map(|prefix| join(prefix, ""));
    }

    /// The same, for a training in which the batch norms below `prefix` normalise with their running statistics, as in a
    /// prediction, and leave them as they are. Their scales and shifts are trained.
    pub fn with_frozen_norms(self, prefix: &str) -> Self {
        Parameters { frozen_norms: Some(join(prefix, "")), ..self }
    }

    /// The same, for weights that will be read from a file and only predict: networks draw no initial values, and the first
    /// pass in [`Mode::Eval`](crate::Mode) multiplies the weight of each convolution with the scale of its batch norm, for good. So
    /// predictions have the same bits in less time, and no other pass is possible.
    pub fn for_inference(self) -> Self {
        Parameters { zeros: true, folded: Some(Mutex::default()), ..self }
    }

    /// The same, of which only sizes count, as in estimates of memory: networks draw no initial values for their convolutions.
    pub fn for_sizes(self) -> Self {
        Parameters { zeros: true, ..self }
    }

    /// Whether initial values are zeros.
    pub(crate) fn starts_as_zeros(&self) -> bool {
        self.zeros
    }

    /// Of parameters for inference: the biases that batch norms have become, by name.
    pub(crate) fn folded(&self) -> Option<MutexGuard<'_, HashMap<String, Tensor>>> {
        Some(self.folded.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether networks compute again what they need for their gradients.
    pub fn recomputes(&self) -> bool {
        self.recompute
    }

    /// Adds a parameter; the store keeps a copy of `tensor` of its own.
    ///
    /// # Errors
    /// If the name is taken, or the tensor's type is not the store's (buffers may be of any type).
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor, role: Role) -> Result<()> {
        let name = name.into();
        if role.is_trainable() && tensor.dtype() != self.dtype {
            bail!("parameter `{name}` is {:?}, its store {:?}", tensor.dtype(), self.dtype);
        }
        match self.entries.entry(name) {
            Entry::Occupied(taken) => bail!("parameter `{}` exists already", taken.key()),
            Entry::Vacant(entry) => {
                // A variable would be kept as it is; anything else is copied.
                let var = Var::from_tensor(&tensor.contiguous()?.detach())?;
                entry.insert(Parameter { var, role });
                Ok(())
            }
        }
    }

    /// The parameter `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<&Parameter> {
        match self.entries.get(name) {
            Some(parameter) => Ok(parameter),
            None => bail!("there is no parameter `{name}`"),
        }
    }

    /// The value of the parameter `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        Ok(self.get(name)?.var.as_tensor())
    }

    /// All parameters and buffers, in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.entries.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// Those that an optimiser moves, in order of insertion.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.iter().filter(|(name, parameter)| parameter.role.is_trainable() && !self.is_frozen(name))
    }

    /// Whether a training leaves the parameter `name` as it is.
    pub fn is_frozen(&self, name: &str) -> bool {
        self.frozen.as_deref().is_some_and(|prefix| name.starts_with(prefix))
    }

    /// Whether a training leaves the running statistics of the batch norm `name` as they are, and normalises with them.
    pub fn has_frozen_norm(&self, name: &str) -> bool {
        self.frozen_norms.as_deref().is_some_and(|prefix| name.starts_with(prefix))
    }

    /// Number of tensors, buffers included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Type of the trainable parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Type of the activations of networks that run with them.
    pub fn activations(&self) -> DType {
        self.precision.activations(self.dtype)
    }

    /// Where they lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of trainable scalars.
    pub fn count_trainable(&self) -> usize {
        self.trainable().map(|(_, parameter)| parameter.var.elem_count()).sum()
    }
}

/// Gradients by parameter name, in the order in which they were first added.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    entries: IndexMap<String, Tensor>,
}

impl Gradients {
    /// No gradients yet.
    pub fn new() -> Self {
        Gradients::default()
    }

    /// The gradient of `name`, of the parameter's shape; none if the loss does not depend on it.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.get(name)
    }

    /// Adds to the gradient of `name`.
    ///
    /// # Errors
    /// If it is there already with another shape or type.
    pub fn add(&mut self, name: &str, gradient: Tensor) -> Result<()> {
        let sum = match self.entries.get(name) {
            Some(present) => sum::forward(present, &gradient)?,
            None => gradient,
        };
        self.entries.insert(name.to_owned(), sum);
        Ok(())
    }

    /// All gradients, in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_order_refuses_duplicates_and_does_not_share() -> Result<()> {
        let device = Device::Cpu;
        let mut store = Parameters::new(DType::F32, &device);
        let weight = Tensor::ones((2, 3), DType::F32, &device)?;
        store.insert("z", weight.clone(), Role::LinearWeight)?;
        store.insert("a", Tensor::zeros(4, DType::F32, &device)?, Role::NormBias)?;
        store.insert("n", Tensor::new(0i64, &device)?, Role::Buffer)?;
        assert_eq!(store.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["z", "a", "n"]);
        assert_eq!((store.len(), store.count_trainable()), (3, 10));
        let error = store.insert("a", weight.clone(), Role::Bias).unwrap_err().to_string();
        assert!(error.contains("`a` exists already"), "{error}");
        assert!(store.insert("d", Tensor::zeros(1, DType::F64, &device)?, Role::Bias).is_err());
        store.get("z")?.var.set(&weight.zeros_like()?)?;
        assert_eq!(weight.sum_all()?.to_scalar::<f32>()?, 6.0);
        assert!(store.get("missing").unwrap_err().to_string().contains("`missing`"));
        Ok(())
    }

    #[test]
    fn gradients_accumulate() -> Result<()> {
        let one = Tensor::ones(3, DType::F64, &Device::Cpu)?;
        let mut gradients = Gradients::new();
        gradients.add("w", one.clone())?;
        gradients.add("v", one.clone())?;
        gradients.add("w", one.clone())?;
        assert_eq!(gradients.get("w").map(|g| g.to_vec1::<f64>()).transpose()?, Some(vec![2.0; 3]));
        assert_eq!(gradients.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["w", "v"]);
        assert!(gradients.add("w", Tensor::ones(4, DType::F64, &Device::Cpu)?).is_err());
        Ok(())
    }
}
