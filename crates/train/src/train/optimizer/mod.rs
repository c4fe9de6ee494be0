//! Optimisers, exactly as PyTorch computes them: SGD with momentum or Nesterov's, Adam, AdamW; and lightly's LARS.
//!
//! A step updates the parameters in place, in the order of the store. Weight decay applies to every trainable
//! parameter, batch norms and gates included, as `torch.optim.X(model.parameters(), weight_decay=…)` does, unless
//! `decay_norms_and_biases` is false.

mod arithmetic;
mod spec;
mod step;
#[cfg(test)]
mod tests;

pub use spec::OptimizerSpec;
pub use step::Optimizer;
