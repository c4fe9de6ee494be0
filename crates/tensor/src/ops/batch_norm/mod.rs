//! Batch normalisation over batch and pixels (Ioffe & Szegedy 2015), fused with the addition of a residual and a
//! ReLU; numbers as PyTorch's `BatchNorm2d` with ε = 1e-5 and momentum 0.1.

mod cpu;
mod gpu;

use super::gpu::of;
use super::host::{Element, elements, on_host, tensor};
use crate::saved::Saved;
use crate::{Mode, Tape, Value};
use candle_core::{Result, Tensor, bail};

/// Added to the variance.
const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// Mean and biased variance of every channel, each `[channels]`.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean over batch and pixels.
    pub mean: Tensor,
    /// Mean squared deviation from it.
    pub variance: Tensor,
}

/// Moments of `x` `[.., channels]`.
///
/// # Errors
/// If there are fewer than two values to a channel, or the device or type has no such operation.
pub fn moments(x: &Tensor) -> Result<Moments> {
    let (x, channels) = (x.contiguous()?, several(x)?);
    match of("batch_norm", &x)? {
        Some(gpu) => gpu::moments(&*gpu, &x, channels, None),
        None => on_host!("batch_norm", &x, moments_host(&x, channels)),
    }
}

/// The channels of `x`, if each has the two values that a variance takes.
fn several(x: &Tensor) -> Result<usize> {
    let channels = channels(x)?;
    if x.elem_count() < 2 * channels {
        bail!("batch_norm: {:?} has fewer than two values to a channel, so no variance to train with", x.dims());
    }
    Ok(channels)
}

fn moments_host<T: Element>(x: &Tensor, channels: usize) -> Result<Moments> {
    let (mean, variance) = cpu::moments::<T>(channels, &elements(x)?);
    Ok(Moments { mean: tensor(mean, &[channels])?, variance: tensor(variance, &[channels])? })
}

fn channels(x: &Tensor) -> Result<usize> {
    match x.dims() {
        [.., channels] if *channels > 0 => Ok(*channels),
        shape => bail!("batch_norm: no channels in {shape:?}"),
    }
}

/// weight · (x − mean) / √(variance + ε) + bias for `x` `[.., channels]`, plus `residual` of x's shape, through a ReLU
/// if `relu`. Moments of the batch make it the training form, running statistics the evaluation form.
///
/// # Errors
/// If the shapes do not fit one another, or the device or type has no such operation.
pub fn forward(
    x: &Tensor,
    moments: &Moments,
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let x = x.contiguous()?;
    let residual = residual.map(Tensor::contiguous).transpose()?;
    let residual = residual.as_ref();
    check(&x, moments, (weight, bias), residual)?;
    match of("batch_norm", &x)? {
        Some(gpu) => gpu::forward(&*gpu, &x, &gpu::Channels { moments, weight, bias }, residual, relu),
        None => on_host!("batch_norm", &x, forward_host(&x, moments, (weight, bias), residual, relu)),
    }
}

fn check(x: &Tensor, moments: &Moments, (weight, bias): (&Tensor, &Tensor), residual: Option<&Tensor>) -> Result<()> {
    let channels = channels(x)?;
    for vector in [&moments.mean, &moments.variance, weight, bias] {
        if vector.dims() != [channels] {
            bail!("batch_norm: {:?} beside an input of {:?}", vector.dims(), x.dims());
        }
    }
    if let Some(residual) = residual.filter(|residual| residual.dims() != x.dims()) {
        bail!("batch_norm: a residual of {:?} to an input of {:?}", residual.dims(), x.dims());
    }
    Ok(())
}

fn forward_host<T: Element>(
    x: &Tensor,
    moments: &Moments,
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let (mean, variance) = (elements::<T>(&moments.mean)?, elements(&moments.variance)?);
    let (weight, bias) = (elements(weight)?, elements(bias)?);
    let at = cpu::Channels { mean: &mean, variance: &variance, weight: &weight, bias: &bias };
    let residual = residual.map(elements::<T>).transpose()?;
    tensor(cpu::forward(&at, &elements(x)?, residual.as_deref(), relu), x.dims())
}

/// Gradients of a batch norm.
#[derive(Debug)]
pub struct BatchNormGradients {
    /// With respect to the input.
    pub x: Tensor,
    /// With respect to the scale, `[channels]`.
    pub weight: Tensor,
    /// With respect to the shift, `[channels]`.
    pub bias: Tensor,
    /// With respect to the residual, where there was one.
    pub residual: Tensor,
}

/// Gradients of [`forward`], given the output's `gradient`; the ReLU's derivative at 0 is 0. With `batch` the moments
/// are those of `x` and move with it, else they are constants. What the ReLU cut off is computed again from `x`.
///
/// # Errors
/// As [`forward`].
pub fn backward(
    x: &Tensor,
    (moments, batch): (&Moments, bool),
    vectors: (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
    gradient: &Tensor,
) -> Result<BatchNormGradients> {
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    let residual = residual.map(Tensor::contiguous).transpose()?;
    let residual = residual.as_ref();
    check(&x, moments, vectors, residual)?;
    if gradient.dims() != x.dims() || gradient.dtype() != x.dtype() {
        bail!("batch_norm: a gradient of {:?} for an input of {:?}", gradient.dims(), x.dims());
    }
    match of("batch_norm", &x)? {
        Some(gpu) => {
            let channels = gpu::Channels { moments, weight: vectors.0, bias: vectors.1 };
            gpu::backward(&*gpu, &x, &channels, residual, relu, &gradient, batch)
        }
        None => {
            on_host!("batch_norm", &x, backward_host(&x, (moments, batch), vectors, residual, relu, &gradient))
        }
    }
}

fn backward_host<T: Element>(
    x: &Tensor,
    (moments, batch): (&Moments, bool),
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
    gradient: &Tensor,
) -> Result<BatchNormGradients> {
    let channels = channels(x)?;
    let (mean, variance) = (elements::<T>(&moments.mean)?, elements(&moments.variance)?);
    let (weight, bias) = (elements(weight)?, elements(bias)?);
    let at = cpu::Channels { mean: &mean, variance: &variance, weight: &weight, bias: &bias };
    let residual = residual.map(elements::<T>).transpose()?;
    let found = cpu::backward(&at, &elements(x)?, residual.as_deref(), relu, &elements(gradient)?, batch);
    Ok(BatchNormGradients {
        x: tensor(found.x, x.dims())?,
        weight: tensor(found.weight, &[channels])?,
        bias: tensor(found.bias, &[channels])?,
        residual: match found.residual {
            Some(residual) => tensor(residual, x.dims())?,
            None => gradient.clone(),
        },
    })
}

impl Tape<'_> {
    /// Batch norm with the parameters `prefix.weight`, `.bias`, `.running_mean`, `.running_var` and
    /// `.num_batches_tracked`, plus `residual`, through a ReLU if `relu`. In [`Mode::Train`] it moves the last three,
    /// with the unbiased variance.
    ///
    /// # Errors
    /// If a parameter is missing, or as [`forward`] and [`moments`].
    pub fn batch_norm(&self, x: &Value, prefix: &str, residual: Option<&Value>, relu: bool) -> Result<Value> {
        let weight = self.parameter(&format!("{prefix}.weight"))?;
        let bias = self.parameter(&format!("{prefix}.bias"))?;
        self.normalized(x, prefix, (weight, bias), residual, relu)
    }

    /// Batch norm without scale and shift (PyTorch's `affine=False`), with the buffers `prefix.running_mean` and so on.
    ///
    /// # Errors
    /// As [`Tape::batch_norm`].
    pub fn plain_batch_norm(&self, x: &Value, prefix: &str) -> Result<Value> {
        let zeros = self.parameters().tensor(&format!("{prefix}.running_mean"))?.zeros_like()?;
        let vectors = (self.constant(zeros.ones_like()?), self.constant(zeros));
        self.normalized(x, prefix, vectors, None, false)
    }

    fn normalized(
        &self,
        x: &Value,
        prefix: &str,
        (weight, bias): (Value, Value),
        residual: Option<&Value>,
        relu: bool,
    ) -> Result<Value> {
        let batch = self.mode() == Mode::Train;
        let moments = if batch && !self.is_dry() {
            self.batch_moments(prefix, x.tensor())?
        } else {
            self.running_moments(prefix)?
        };
        let inputs: Vec<&Value> = [x, &weight, &bias].into_iter().chain(residual).collect();
        let vectors = (weight.tensor().clone(), bias.tensor().clone());
        let output = self.output(x.tensor().dims(), || {
            forward(x.tensor(), &moments, (&vectors.0, &vectors.1), residual.map(Value::tensor), relu)
        })?;
        let saved = (self.save(x), residual.map(|residual| self.save(residual)));
        let (x, again) = (saved.clone(), (moments.clone(), vectors.clone()));
        let again = move || {
            let ((x, residual), (moments, vectors)) = (&x, &again);
            let residual = residual.as_ref().map(Saved::tensor).transpose()?;
            forward(&x.tensor()?, moments, (&vectors.0, &vectors.1), residual.as_ref(), relu)
        };
        Ok(self.record_recomputable(output, &inputs, again, move |gradient, _| {
            // Without a ReLU the residual takes no part in the gradients.
            let residual = saved.1.filter(|_| relu).as_ref().map(Saved::tensor).transpose()?;
            let vectors = (&vectors.0, &vectors.1);
            let found = backward(&saved.0.tensor()?, (&moments, batch), vectors, residual.as_ref(), relu, gradient)?;
            Ok(vec![Some(found.x), Some(found.weight), Some(found.bias), Some(found.residual)])
        }))
    }

    /// What a batch norm with the running statistics is to a convolution before it: a factor and a summand `[channels]`.
    pub(crate) fn folded_norm(&self, prefix: &str) -> Result<(Tensor, Tensor)> {
        let Moments { mean, variance } = self.running_moments(prefix)?;
        let weight = self.parameter(&format!("{prefix}.weight"))?;
        let scale = (weight.tensor() / (variance + EPSILON)?.sqrt()?)?;
        let bias = (self.parameter(&format!("{prefix}.bias"))?.tensor() - (mean * &scale)?)?;
        Ok((scale, bias))
    }

    /// The running statistics below `prefix`.
    pub(crate) fn running_moments(&self, prefix: &str) -> Result<Moments> {
        let buffer = |name: &str| self.parameter(&format!("{prefix}.{name}")).map(|value| value.tensor().clone());
        Ok(Moments { mean: buffer("running_mean")?, variance: buffer("running_var")? })
    }

    /// Moments of `x`, with which the running statistics below `prefix` move.
    fn batch_moments(&self, prefix: &str, x: &Tensor) -> Result<Moments> {
        if let Some(gpu) = of("batch_norm", x)? {
            let buffer = |name: &str| self.parameters().tensor(&format!("{prefix}.{name}"));
            let running = gpu::Running {
                mean: buffer("running_mean")?,
                variance: buffer("running_var")?,
                tracked: buffer("num_batches_tracked")?,
            };
            return gpu::moments(&*gpu, &x.contiguous()?, several(x)?, Some(running));
        }
        let found = moments(x)?;
        self.move_running_statistics(prefix, &found, x.elem_count())?;
        Ok(found)
    }

    fn move_running_statistics(&self, prefix: &str, moments: &Moments, elements: usize) -> Result<()> {
        let count = (elements / moments.mean.elem_count()) as f64;
        let unbiased = (&moments.variance * (count / (count - 1.0)))?;
        for (name, newest) in [("running_mean", &moments.mean), ("running_var", &unbiased)] {
            let running = &self.parameters().get(&format!("{prefix}.{name}"))?.var;
            running.set(&((running.as_detached_tensor() * (1.0 - MOMENTUM))? + (newest * MOMENTUM)?)?)?;
        }
        let tracked = &self.parameters().get(&format!("{prefix}.num_batches_tracked"))?.var;
        tracked.set(&Tensor::new(tracked.to_scalar::<i64>()? + 1, tracked.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use crate::{Parameters, Role};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    fn inputs(shape: &[usize], seed: u64) -> Inputs {
        let channels = &shape[3..];
        let mut inputs = Inputs::new(seed);
        inputs.normal("x", shape);
        inputs.normal("r", shape);
        inputs.normal("bn.weight", channels);
        inputs.normal("bn.bias", channels);
        inputs.buffer("bn.running_mean", channels, 0.0);
        inputs.buffer("bn.running_var", channels, 1.0);
        inputs.count("bn.num_batches_tracked");
        inputs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width, channels) in (1usize..3, 2usize..5, 2usize..5, 1usize..4),
            (add, relu, seed) in (any::<bool>(), any::<bool>(), any::<u64>()),
        ) {
            let inputs = inputs(&[batch, height, width, channels], seed);
            let run = |tape: &Tape<'_>, relu: bool| {
                let residual = add.then(|| tape.parameter("r")).transpose()?;
                tape.batch_norm(&tape.parameter("x")?, "bn", residual.as_ref(), relu)
            };
            let parameters = inputs.parameters(DType::F64).unwrap();
            let linear = run(&Tape::new(&parameters, Mode::Train), false).unwrap().tensor().flatten_all().unwrap();
            // A step must not cross the ReLU's corner.
            prop_assume!(linear.to_vec1::<f64>().unwrap().iter().all(|value| value.abs() > 1e-3));
            check_gradients(&inputs, |tape| run(tape, relu));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        same_bits_for_any_threads(&inputs(&[4, 30, 31, 24], 5), |tape| {
            tape.batch_norm(&tape.parameter("x")?, "bn", Some(&tape.parameter("r")?), true)
        });
    }

    /// Worked by hand: x = 1, 2, 3, 6 has mean 3, variance 3.5 and unbiased variance 14/3.
    #[test]
    fn running_statistics_move_as_in_pytorch_and_evaluation_uses_them() -> Result<()> {
        let device = Device::Cpu;
        let mut parameters = Parameters::new(DType::F64, &device);
        crate::init::batch_norm(&mut parameters, "bn", 1)?;
        let x = Tensor::new(&[1.0f64, 2.0, 3.0, 6.0], &device)?.reshape((1, 2, 2, 1))?;
        let tape = Tape::new(&parameters, Mode::Train);
        tape.batch_norm(&tape.constant(x.clone()), "bn", None, false)?;
        let scalar = |name: &str| parameters.tensor(name)?.flatten_all()?.to_vec1::<f64>().map(|values| values[0]);
        assert!((scalar("bn.running_mean")? - 0.3).abs() < 1e-15);
        assert!((scalar("bn.running_var")? - (0.9 + 0.1 * 14.0 / 3.0)).abs() < 1e-15);
        assert_eq!(parameters.tensor("bn.num_batches_tracked")?.to_scalar::<i64>()?, 1);
        let tape = Tape::new(&parameters, Mode::Eval);
        let y = tape.batch_norm(&tape.constant(x), "bn", None, true)?.tensor().flatten_all()?.to_vec1::<f64>()?;
        let expected = (6.0 - 0.3) / (0.9 + 0.1 * 14.0 / 3.0 + 1e-5f64).sqrt();
        assert!((y[3] - expected).abs() < 1e-12, "{y:?}");
        Ok(())
    }

    #[test]
    fn relu_has_derivative_zero_at_zero_and_lets_nan_through() -> Result<()> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        crate::init::batch_norm(&mut parameters, "bn", 1)?;
        let x = Tensor::zeros((1, 2, 2, 1), DType::F32, &Device::Cpu)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let y = tape.batch_norm(&tape.constant(x.clone()), "bn", None, true)?;
        let seed = y.tensor().ones_like()?;
        let gradients = tape.backward(vec![(y, seed)])?;
        assert_eq!(gradients.get("bn.bias").map(|g| g.to_vec1::<f32>()).transpose()?, Some(vec![0.0]));
        parameters.insert("nan", (x * f64::NAN)?, Role::Bias)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let y = tape.batch_norm(&tape.parameter("nan")?, "bn", None, true)?;
        assert!(y.tensor().flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_nan()));
        Ok(())
    }

    #[test]
    fn a_single_value_has_no_variance() -> Result<()> {
        let error = moments(&Tensor::zeros((1, 1, 1, 4), DType::F32, &Device::Cpu)?).unwrap_err().to_string();
        assert!(error.contains("fewer than two values"), "{error}");
        Ok(())
    }
}
