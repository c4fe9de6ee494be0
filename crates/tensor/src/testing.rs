//! What the tests of the operations share: random inputs, finite differences, and bits under several threads.

use super::ops::gpu::pretend;
use super::{Mode, Parameters, Role, Tape, Value};
use candle_core::{DType, Device, Result, Tensor};
use matssl_base::random::Stream;

/// Half the step of a central difference: truncation and rounding both stay below [`TOLERANCE`].
const STEP: f64 = 1e-5;
/// Allowed difference, relative to the larger of 1 and the gradient's largest element.
const TOLERANCE: f64 = 1e-6;

/// Named random inputs of an operation in float64; a test takes them off the tape with `tape.parameter`.
pub struct Inputs {
    values: Vec<(String, Vec<usize>, Vec<f64>)>,
    buffers: Vec<String>,
    counters: Vec<String>,
    stream: Stream,
}

impl Inputs {
    pub fn new(seed: u64) -> Self {
        Inputs {
            values: Vec::new(),
            buffers: Vec::new(),
            counters: Vec::new(),
            stream: Stream::new(seed, "test inputs", 0, 0),
        }
    }

    /// Standard normal.
    pub fn normal(&mut self, name: &str, shape: &[usize]) {
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.stream.normal()).collect();
        self.values.push((name.to_owned(), shape.to_vec(), values));
    }

    /// All different, at least 0.01 apart: no step of a finite difference changes their order.
    pub fn distinct(&mut self, name: &str, shape: &[usize]) {
        let count: usize = shape.iter().product();
        let order = self.stream.permutation(count);
        let values = order.into_iter().map(|rank| rank as f64 * 0.01 - 1.0).collect();
        self.values.push((name.to_owned(), shape.to_vec(), values));
    }

    /// A buffer with the same number everywhere.
    pub fn buffer(&mut self, name: &str, shape: &[usize], value: f64) {
        self.values.push((name.to_owned(), shape.to_vec(), vec![value; shape.iter().product()]));
        self.buffers.push(name.to_owned());
    }

    /// The counter of a batch norm.
    pub fn count(&mut self, name: &str) {
        self.counters.push(name.to_owned());
    }

    /// As a store of parameters.
    pub fn parameters(&self, dtype: DType) -> Result<Parameters> {
        let device = Device::Cpu;
        let mut parameters = Parameters::new(dtype, &device);
        for (name, shape, values) in &self.values {
            let tensor = Tensor::from_slice(values, shape.as_slice(), &device)?.to_dtype(dtype)?;
            let role = if self.buffers.contains(name) { Role::Buffer } else { Role::Bias };
            parameters.insert(name, tensor, role)?;
        }
        for name in &self.counters {
            parameters.insert(name, Tensor::new(0i64, &device)?, Role::Buffer)?;
        }
        Ok(parameters)
    }
}

/// The largest difference of two outcomes; NaN if anything in them is.
pub fn farthest(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |far, apart| if far.is_nan() || apart <= far { far } else { apart })
}

/// Holds the tape's gradients of Σ seed · output, for a random seed, to central differences over every input element: on
/// the CPU side and, with [`pretend`], on the GPU side.
pub fn check_gradients(inputs: &Inputs, forward: impl Fn(&Tape<'_>) -> Result<Value>) {
    run_check(inputs, &forward).expect("the operation runs");
    if let Some(result) = pretend::on(|| run_check(inputs, &forward)) {
        result.expect("the operation's GPU side runs");
    }
}

/// As [`check_gradients`], on the CPU side alone; and the GPU side is refused.
pub fn check_gradients_on_cpu(inputs: &Inputs, forward: impl Fn(&Tape<'_>) -> Result<Value>) {
    run_check(inputs, &forward).expect("the operation runs");
    if let Some(result) = pretend::on(|| run_check(inputs, &forward)) {
        let message = result.expect_err("the operation has no GPU side").to_string();
        assert!(message.contains("has no GPU side yet"), "{message}");
    }
}

fn run_check(inputs: &Inputs, forward: &impl Fn(&Tape<'_>) -> Result<Value>) -> Result<()> {
    let parameters = inputs.parameters(DType::F64)?;
    let tape = Tape::new(&parameters, Mode::Train);
    let output = forward(&tape)?;
    let mut stream = inputs.stream.child(1);
    let seed: Vec<f64> = (0..output.tensor().elem_count()).map(|_| stream.normal()).collect();
    let seed = Tensor::from_vec(seed, output.tensor().shape(), &Device::Cpu)?;
    let gradients = tape.backward(vec![(output, seed.clone())])?;
    let loss = || -> Result<f64> {
        let tape = Tape::new(&parameters, Mode::Train);
        (forward(&tape)?.tensor() * &seed)?.sum_all()?.to_scalar::<f64>()
    };
    for (name, parameter) in parameters.trainable() {
        // No gradient is a claim too: that the output does not depend on the input.
        let gradient = match gradients.get(name) {
            Some(gradient) => gradient.clone(),
            None => parameter.var.zeros_like()?,
        };
        assert_eq!(gradient.dims(), parameter.var.dims(), "shape of the gradient of {name}");
        let gradient = gradient.flatten_all()?.to_vec1::<f64>()?;
        let scale = gradient.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
        let original = parameter.var.flatten_all()?.to_vec1::<f64>()?;
        let set = |values: Vec<f64>| parameter.var.set(&Tensor::from_vec(values, parameter.var.shape(), &Device::Cpu)?);
        for index in 0..original.len() {
            let at = |step: f64| -> Result<f64> {
                let mut moved = original.clone();
                moved[index] += step;
                set(moved)?;
                loss()
            };
            let numeric = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
            let difference = (numeric - gradient[index]).abs();
            assert!(
                difference <= TOLERANCE * scale,
                "{name}[{index}]: backward says {}, finite differences {numeric}",
                gradient[index]
            );
        }
        set(original)?;
    }
    Ok(())
}

/// Asserts that output and gradients in float32 are the same bits under one, two and five threads.
pub fn same_bits_for_any_threads(inputs: &Inputs, forward: impl Fn(&Tape<'_>) -> Result<Value> + Sync) {
    let run = || -> Result<Vec<Vec<u32>>> {
        let parameters = inputs.parameters(DType::F32)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let output = forward(&tape)?;
        let seed = output.tensor().sin()?;
        let mut tensors = vec![output.tensor().clone()];
        tensors.extend(tape.backward(vec![(output, seed)])?.iter().map(|(_, gradient)| gradient.clone()));
        let bits = |tensor: &Tensor| -> Result<Vec<u32>> {
            Ok(tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
        };
        tensors.iter().map(bits).collect()
    };
    let under = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(run).expect("the operation runs")
    };
    let one = under(1);
    assert!(one.len() > 1, "no gradients");
    assert!(one == under(2) && one == under(5), "bits differ with the number of threads");
}
