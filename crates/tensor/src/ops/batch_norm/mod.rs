//! Batch normalisation over batch and pixels (Ioffe & Szegedy 2015), fused with the addition of a residual and a
//! ReLU; numbers as PyTorch's `BatchNorm2d` with ε = 1e-5 and momentum 0.1.

mod backward;
mod constants;
mod cpu;
mod forward;
mod gpu;
mod gradients;
mod moments;
mod on_tape;
mod shapes;
mod statistics;
#[cfg(test)]
mod tests;
