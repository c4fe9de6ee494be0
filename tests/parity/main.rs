//! The operations and the networks against PyTorch, by two measures.
//!
//! Mathematics: in float64 every value, gradient, running statistic and stepped weight is PyTorch's, to 1e-8 of the
//! tensor's norm (norm and projections on hashed directions: [`measure`]). Arithmetic: our float32 is at most twice as far
//! from the float64 truth as PyTorch's float32; on a GPU, which sums otherwise, as far as [`bound`] says.
//!
//! `generate.py` wrote what PyTorch computes; weights and inputs come from one hash on both sides ([`hashed`]).
//! `cargo test --release --test parity -- --nocapture table` prints the table. Where `MATSSL_PARITY_TABLE` names a file, it is
//! written there as Markdown, each section when it is done ([`part`]). `MATSSL_PARITY_DEVICE=cuda:0` computes our side on a
//! GPU, without convolutions of shapes that no network has. `session.py` goes the other way, on the CPU: PyTorch loads what
//! was written here.

mod augment;
mod bound;
mod fixture;
mod hashed;
mod measure;
mod methods;
mod metrics;
mod networks;
mod ops;
mod part;
mod section;
mod session;
mod table;
