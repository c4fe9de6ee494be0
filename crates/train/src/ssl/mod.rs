//! Self-supervised methods: trait [`SslMethod`] and the table of methods. One file per method.
//!
//! A method has parameters, heads and a loss. Encoder and heads run on the tape, losses in candle's autograd; the step between
//! them is at the embeddings ([`Online`]).

mod barlow_twins;
mod byol;
mod cosine;
mod densecl;
mod head;
mod matssl;
mod method;
mod method_entry;
mod method_spec;
mod methods;
mod mocov2;
mod momentum;
mod nt_xent;
mod online;
mod queue;
mod simclr;
mod simsiam;
#[cfg(test)]
mod tests;
mod vicreg;
mod watch;

pub use head::HeadSizes;
pub use matssl::{Gate, MatSsl};
pub use method::{MethodLoss, MethodParameters, Moment, SslMethod};
pub use method_spec::MethodSpec;
pub use methods::{columns, names};
pub use momentum::MOMENTUM;
pub use nt_xent::{normalize, nt_xent};
pub use online::{ENCODER, Online};
pub use watch::Watch;
