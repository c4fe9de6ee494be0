//! Self-supervised methods: trait [`SslMethod`] and the table of methods. One file a method.
//!
//! A method owns its parameters, its heads and its loss. Encoder and heads run on the tape, losses are plain candle; the
//! two meet at the embeddings ([`Online`]).

mod head;
mod matssl;
mod method;
mod nt_xent;
mod online;
mod simclr;

pub use head::HeadSizes;
pub use matssl::{Gate, MatSsl};
pub use method::{MethodLoss, MethodParameters, MethodSpec, SslMethod, names};
pub use nt_xent::{NtXent, nt_xent};
pub use online::{ENCODER, Online};
pub use simclr::SimClr;

/// All methods. A new one is a file with its [`MethodParameters`], and a word here.
static METHODS: &[method::Method] = &[method::method::<MatSsl>(), method::method::<SimClr>()];
