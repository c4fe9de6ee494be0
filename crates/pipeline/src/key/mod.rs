//! Cache keys: content hashes, and what a stage's key is the hash of.

mod digest;
mod material;

pub use digest::Digest;
pub use material::{KEY_SCHEMA, Key, KeyInput, KeyMaterial};
