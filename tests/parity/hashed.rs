//! Numbers that both sides draw alike: `reference/hashed.py` in Rust.

use candle_core::{DType, Device, Tensor};
use matssl_run::nn::{DeviceName, OpenDevice, Parameter, Parameters, Precision, Role};
use std::cell::Cell;
use std::sync::LazyLock;

/// Errors of one rounding each are luck where a tensor is small, so they are averaged over several draws of the inputs.
pub(crate) const DRAWS: usize = 4;

thread_local! {
    static DRAW: Cell<usize> = const { Cell::new(0) };
}

/// `MATSSL_PARITY_DEVICE`, e.g. `cuda:0`, or else the CPU.
fn device_name() -> Result<DeviceName, String> {
    let name = std::env::var("MATSSL_PARITY_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    name.parse().map_err(|error| format!("MATSSL_PARITY_DEVICE={name}: {error}"))
}

/// Whether the device is a GPU: then other shapes are computed and other errors allowed. `pretended:0` counts as one but
/// computes on the CPU, so that this can be tried out without a GPU.
pub(crate) fn is_on_gpu() -> bool {
    static IS: LazyLock<bool> = LazyLock::new(|| device_name().is_ok_and(|name| name != DeviceName::Cpu));
    *IS
}

/// What parameters and inputs lie on. One for all threads, for tensors of one GPU that was opened twice do not mix.
///
/// # Panics
/// If there is no such device, each time.
pub(crate) fn device() -> &'static Device {
    static DEVICE: LazyLock<Result<Device, String>> = LazyLock::new(|| {
        let opened = OpenDevice::open(device_name()?, Precision::Float32, true)?;
        println!("on {}", opened.describe());
        Ok(opened.candle().clone())
    });
    DEVICE.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `action` with the inputs of another draw; after a panic, too, those of this one are back.
pub(crate) fn with_draw<T>(draw: usize, action: impl FnOnce() -> T) -> T {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            DRAW.set(self.0);
        }
    }
    let _back = Back(DRAW.replace(draw));
    action()
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
pub(crate) fn tensor(name: &str, shape: &[usize], spread: Spread, dtype: DType) -> candle_core::Result<Tensor> {
    let draws = input(name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|index| spread.apply(draws.at(index))).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device())
}

/// A kernel whose OIHW elements are drawn in their order, as it is kept here: `shape` is HWIO.
pub(crate) fn kernel(name: &str, shape: [usize; 4], dtype: DType) -> candle_core::Result<Tensor> {
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
pub(crate) fn labels(classes: usize, shape: [usize; 3], ignore: bool) -> candle_core::Result<Tensor> {
    let (draws, ignored) = (Uniform::new("labels"), Uniform::new("ignored"));
    let label = |index| {
        let found = ((draws.at(index) + 1.0) / 2.0 * (classes - 1) as f64) as u8;
        if ignore && ignored.at(index) > 0.8 { 255 } else { found }
    };
    Tensor::from_vec((0..shape.iter().product()).map(label).collect::<Vec<u8>>(), &shape, &Device::Cpu)
}

/// Gives every parameter and buffer its hashed value; counters stay.
pub(crate) fn fill(parameters: &Parameters) -> candle_core::Result<()> {
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
            // Tables of biases are matrices too.
            (Role::LinearWeight | Role::Buffer | Role::Bias, &[_, inputs]) => {
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
