//! Checks cuDNN's convolutions, small to large, in each direction and precision, against our own kernels in float64.

use super::numbers::{Faults, Numbers, Outcome, first_line, relative_error};
use super::step::{Say, open};
use crate::nn::ops::Conv2d;
use crate::nn::ops::gpu::{self, Direction, Sizes, probe};
use crate::nn::{DeviceName, Mode, Precision, convolutions};
use anyhow::Result;
use candle_core::{DType, Device};

/// A convolution of concatenated inputs.
struct Case {
    batch: usize,
    /// Side of the output at stride 1. Upsampled inputs have half of it.
    size: usize,
    /// Channels of each input, and whether it is upsampled by 2.
    inputs: &'static [(usize, bool)],
    out: usize,
    kernel: usize,
    stride: usize,
}

/// Convolutions of U-Net++ on a ResNet-50, from the smallest to the largest.
const CASES: [Case; 7] = [
    Case { batch: 2, size: 16, inputs: &[(8, false)], out: 8, kernel: 3, stride: 1 },
    Case { batch: 2, size: 32, inputs: &[(3, false)], out: 64, kernel: 7, stride: 2 },
    Case { batch: 2, size: 16, inputs: &[(64, false)], out: 256, kernel: 1, stride: 1 },
    Case { batch: 2, size: 16, inputs: &[(256, false)], out: 512, kernel: 1, stride: 2 },
    Case { batch: 2, size: 16, inputs: &[(128, false)], out: 128, kernel: 3, stride: 2 },
    Case { batch: 2, size: 8, inputs: &[(512, false)], out: 512, kernel: 3, stride: 1 },
    Case {
        batch: 2,
        size: 16,
        inputs: &[(64, true), (128, false), (128, false), (128, false)],
        out: 64,
        kernel: 3,
        stride: 1,
    },
];

impl Case {
    fn channels(&self) -> usize {
        self.inputs.iter().map(|(channels, _)| channels).sum()
    }

    fn title(&self) -> String {
        let Case { batch, size, out, kernel, stride, .. } = self;
        let joined = if self.inputs.len() > 1 { "joined " } else { "" };
        format!("{joined}{}→{out}, {kernel}×{kernel}, stride {stride}, {batch} of {size}²", self.channels())
    }

    fn weight(&self, n: &Numbers<'_>) -> candle_core::Result<crate::nn::Parameters> {
        let (mut parameters, kernel) = (n.parameters(), self.kernel);
        // So that outputs have a magnitude of about 1.
        let divisor = ((kernel * kernel * self.channels()) as f64).sqrt();
        n.add(&mut parameters, "weight", &[kernel, kernel, self.channels(), self.out], divisor, 50)?;
        Ok(parameters)
    }

    fn run(&self, n: &Numbers<'_>) -> candle_core::Result<Outcome> {
        n.pass(&self.weight(n)?, Mode::Train, |tape, n| {
            let read = self.inputs.iter().enumerate().map(|(index, &(channels, doubled))| {
                let size = if doubled { self.size / 2 } else { self.size };
                let shape = [self.batch, size, size, channels];
                Ok((n.variable(tape, &format!("input {index}"), &shape, index as u64)?, doubled))
            });
            let read = read.collect::<candle_core::Result<Vec<_>>>()?;
            let read: Vec<_> = read.iter().map(|(value, doubled)| (value, *doubled)).collect();
            tape.conv2d_joined(&read, "weight", None, Conv2d::new(self.stride, self.kernel / 2))
        })
    }

    /// The sizes of the query to cuDNN.
    fn sizes(&self, n: &Numbers<'_>) -> candle_core::Result<Sizes> {
        let (parameters, options) = (self.weight(n)?, Conv2d::new(self.stride, self.kernel / 2));
        let shape = [self.batch, self.size, self.size, self.channels()];
        let found = convolutions(&parameters, shape, |tape, x| tape.conv2d(x, "weight", None, options))?;
        found.first().copied().ok_or_else(|| candle_core::Error::Msg("no convolution was counted".into()))
    }

    /// The error limit of a result in float32, which grows with the number of terms in its sums.
    fn float32_limit(&self, result: &str) -> f64 {
        let pixels = self.batch * (self.size / self.stride).pow(2);
        let terms = match result {
            "output" => self.kernel * self.kernel * self.channels(),
            "gradient of weight" => pixels,
            _ => self.kernel * self.kernel * self.out,
        };
        8.0 * (terms as f64).sqrt() / f64::from(1 << 24)
    }
}

/// Precisions, and the error limit of each in addition to float32's.
const PRECISIONS: [(Precision, f64); 3] = [(Precision::Float32, 0.0), (Precision::Tf32, 1e-3), (Precision::Bf16, 1e-2)];

pub(super) fn check(name: DeviceName, say: Say<'_>) -> Result<String> {
    let device = open(name, Precision::Float32)?;
    let is_gpu = gpu::find(&device)?.is_some();
    let mut faults = Faults::new(say);
    for case in &CASES {
        faults.say(&case.title());
        // On a GPU by our own kernels.
        let truth = match case.run(&Numbers::new(&device, DType::F64, Precision::Float32)) {
            Ok(truth) => truth,
            Err(error) => {
                faults.add(format!("{} in float64: {}", case.title(), first_line(&error)));
                continue;
            }
        };
        for (precision, allowed) in PRECISIONS {
            if precision.needs_gpu() && (!is_gpu || precision == Precision::Tf32 && name == DeviceName::Cpu) {
                continue;
            }
            if name != DeviceName::Cpu {
                open(name, precision)?;
            }
            let numbers = Numbers::new(&device, DType::F32, precision);
            list_algorithms(case, &numbers, &mut faults);
            let judged =
                case.run(&numbers).and_then(|found| judge(case, precision, allowed, &found, &truth, &mut faults));
            if let Err(error) = judged.and_then(|()| device.synchronize()) {
                faults.add(format!("{} in {}: {}", case.title(), precision.name(), first_line(&error)));
            }
        }
    }
    let refusals = gpu::refusals();
    refusals.iter().for_each(|refusal| faults.say(&format!("refused: {refusal}")));
    faults.end()?;
    Ok(format!("{} convolutions, {} refusals", CASES.len(), refusals.len()))
}

/// Reports the algorithms that cuDNN offers.
fn list_algorithms(case: &Case, numbers: &Numbers<'_>, faults: &mut Faults<'_>) {
    if matches!(numbers.device, Device::Cpu) {
        return;
    }
    let dtype = if numbers.precision == Precision::Bf16 { DType::BF16 } else { DType::F32 };
    for direction in [Direction::Forward, Direction::Data, Direction::Filter] {
        let sizes = case.sizes(numbers);
        let offered = match sizes.and_then(|sizes| probe::algorithms(numbers.device, direction, sizes, dtype)) {
            Ok(found) => found.join(" | "),
            Err(error) => first_line(&error),
        };
        faults.say(&format!("  {} {direction:?}: {offered}", numbers.precision.name()));
    }
}

fn judge(
    case: &Case,
    precision: Precision,
    allowed: f64,
    found: &Outcome,
    truth: &Outcome,
    faults: &mut Faults<'_>,
) -> candle_core::Result<()> {
    for (result, truth) in truth {
        let error = found.get(result).map_or(Ok(f64::NAN), |found| relative_error(found, truth))?;
        let limit = allowed + case.float32_limit(result);
        let what = format!("{result} in {}: relative error {error:.1e} (limit {limit:.1e})", precision.name());
        if error <= limit {
            faults.say(&format!("  {what}"));
        } else {
            faults.add(format!("{}: {what}", case.title()));
        }
    }
    Ok(())
}
