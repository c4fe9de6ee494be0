//! Numbers that both sides draw alike: `reference/hashed.py` in Rust.

use candle_core::{DType, Device, Result, Tensor};
use matssl_run::nn::{DeviceName, Parameter, Parameters, Precision, Role};
use std::cell::Cell;
use std::sync::LazyLock;

/// Errors of one rounding each are luck where a tensor is small, so they are averaged over several draws of the inputs.
pub(crate) const DRAWS: usize = 4;

thread_local! {
    static DRAW: Cell<usize> = const { Cell::new(0) };
}

/// What parameters and inputs lie on: `MATSSL_PARITY_DEVICE`, e.g. `cuda:0`, or else the CPU. One for all threads, for
/// tensors of one GPU that was opened twice do not mix.
///
/// # Panics
/// If there is no such device.
pub(crate) fn device() -> &'static Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let name = std::env::var("MATSSL_PARITY_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
        let name: DeviceName = name.parse().unwrap_or_else(|error| panic!("MATSSL_PARITY_DEVICE={name}: {error}"));
        let opened = name.open(Precision::Float32, true).unwrap_or_else(|error| panic!("{error}"));
        println!("on {}", opened.describe());
        opened.candle().clone()
    });
    &DEVICE
}

/// Runs `action` with the inputs of another draw.
pub(crate) fn with_draw<T>(draw: usize, action: impl FnOnce() -> T) -> T {
    let before = DRAW.replace(draw);
    let result = action();
    DRAW.set(before);
    result
}

/// Of the present draw.
fn input(name: &str) -> Uniform {
    match DRAW.get() {
        0 => Uniform::new(name),
        draw => Uniform::new(&format!("{name}@{draw}")),
    }
}

/// Doubles in [-1, 1) by index: splitmix64 of (FNV-1a of a name, index).
#[derive(Clone, Copy)]
pub(crate) struct Uniform {
    start: u64,
}

impl Uniform {
    pub(crate) fn new(name: &str) -> Self {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        Uniform { start: name.bytes().fold(0xCBF2_9CE4_8422_2325, step) }
    }

    pub(crate) fn at(self, index: usize) -> f64 {
        let mut z = self.start.wrapping_add((index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// offset + scale · uniform, rounded to float32.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) scale: f64,
    pub(crate) offset: f64,
}

/// As drawn.
pub(crate) const PLAIN: Spread = Spread { scale: 1.0, offset: 0.0 };

impl Spread {
    fn apply(self, draw: f64) -> f64 {
        f64::from((self.offset + self.scale * draw) as f32)
    }
}

/// A tensor in PyTorch's element order (images: as NHWC).
pub(crate) fn tensor(name: &str, shape: &[usize], spread: Spread, dtype: DType) -> Result<Tensor> {
    let draws = input(name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|index| spread.apply(draws.at(index))).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device())
}

/// A kernel whose OIHW elements are drawn in their order, as it is kept here: `shape` is HWIO.
pub(crate) fn kernel(name: &str, shape: [usize; 4], dtype: DType) -> Result<Tensor> {
    let [height, width, channels_in, _] = shape;
    let spread = Spread { scale: (6.0 / (channels_in * height * width) as f64).sqrt(), offset: 0.0 };
    let draws = input(name);
    let values: Vec<f64> = in_pytorch(shape).map(|index| spread.apply(draws.at(index))).collect();
    Tensor::from_vec(values, &shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device())
}

/// For each element of an HWIO kernel, in order, its place in PyTorch's OIHW.
pub(crate) fn in_pytorch([height, width, channels_in, channels_out]: [usize; 4]) -> impl Iterator<Item = usize> {
    (0..height * width).flat_map(move |tap| {
        (0..channels_in).flat_map(move |i| (0..channels_out).map(move |o| (o * channels_in + i) * height * width + tap))
    })
}

/// Classes 0 to classes - 2, so that one is absent; if `ignore`, one label in ten is 255. On the CPU, as in training.
pub(crate) fn labels(classes: usize, shape: [usize; 3], ignore: bool) -> Result<Tensor> {
    let (draws, ignored) = (Uniform::new("labels"), Uniform::new("ignored"));
    let label = |index| {
        let found = ((draws.at(index) + 1.0) / 2.0 * (classes - 1) as f64) as u8;
        if ignore && ignored.at(index) > 0.8 { 255 } else { found }
    };
    Tensor::from_vec((0..shape.iter().product()).map(label).collect::<Vec<u8>>(), &shape, &Device::Cpu)
}

/// Gives every parameter and buffer its hashed value; counters stay.
pub(crate) fn fill(parameters: &Parameters) -> Result<()> {
    for (name, Parameter { var, role }) in parameters.iter().filter(|(_, parameter)| parameter.var.dtype().is_float()) {
        let shape = var.dims();
        var.set(&match (role, shape) {
            (Role::ConvWeight, &[height, width, channels_in, channels_out]) => {
                kernel(name, [height, width, channels_in, channels_out], var.dtype())?
            }
            (_, &[_, dimensions]) if name.ends_with("queue") => {
                let rows = tensor(name, shape, PLAIN, var.dtype())?;
                rows.broadcast_div(&rows.sqr()?.sum_keepdim(1)?.sqrt()?)?.reshape(((), dimensions))?
            }
            // A momentum network's weights are buffers, of the same shapes.
            (Role::Buffer, &[height, width, channels_in, channels_out]) => {
                kernel(name, [height, width, channels_in, channels_out], var.dtype())?
            }
            (Role::LinearWeight | Role::Buffer, &[_, inputs]) => {
                tensor(name, shape, Spread { scale: (6.0 / inputs as f64).sqrt(), offset: 0.0 }, var.dtype())?
            }
            _ if name.ends_with("running_var") || name.ends_with("weight") || name.contains(".gates.") => {
                tensor(name, shape, Spread { scale: 0.3, offset: 1.0 }, var.dtype())?
            }
            _ => tensor(name, shape, Spread { scale: 0.1, offset: 0.0 }, var.dtype())?,
        })?;
    }
    Ok(())
}
