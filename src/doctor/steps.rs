//! The table of steps, in their order.

use super::step::Step;
use super::{batches, candle, convolutions, driver, launch, networks, operations, plans};

/// All steps, from the smallest to the largest. The sum of their time limits is at most 5 minutes.
pub const STEPS: &[Step] = &[
    Step::new("libraries", "CUDA's libraries", 20, driver::libraries).of_gpus().vital(),
    Step::new("context", "a CUDA context, the memory pool, a copy of 4 bytes to the GPU and back", 30, driver::context)
        .of_gpus()
        .vital(),
    Step::new("kernels", "all kernels loaded and found", 30, driver::kernels).of_gpus(),
    Step::new("launch", "one kernel on 1, 257 and 2²⁰+3 elements", 15, launch::check),
    Step::new("operations", "every kernel against the CPU", 30, operations::check),
    Step::new("batches", "page-locked buffers, and bit-identical normalised pixels", 15, batches::check).asynchronous(),
    Step::new("candle", "candle's own casts, sums and matrix products", 20, candle::check),
    Step::new("convolutions", "cuDNN's convolutions against our own kernels", 45, convolutions::check),
    Step::new("resnet", "a training step of a ResNet-18 against the CPU, twice", 20, networks::resnet).asynchronous(),
    Step::new("unet++", "a training step of a U-Net++ against the CPU, twice", 20, networks::unet_plus_plus)
        .asynchronous(),
    Step::new("plans", "cuDNN's algorithms for every convolution of the networks", 30, plans::check),
];

/// The step called `name`.
pub fn step(name: &str) -> Option<&'static Step> {
    STEPS.iter().find(|step| step.name == name)
}
