//! Multi-head attention (Vaswani et al., *Attention Is All You Need*, 2017), inside of windows and over all tokens.
//!
//! Scores lie as `[keys, queries]`, so that maxima, sums and gradients of a softmax go down columns and vectors of the processor
//! hold neighbouring queries. No operation writes out the scores of more than a block of tokens. The backward passes compute the
//! weights again.

mod bias;
mod exponential;
mod global;
mod global_backward;
mod heads;
mod on_tape;
mod softmax;
#[cfg(test)]
mod tests;
mod window;
mod windows;

pub use windows::WindowAttention;
