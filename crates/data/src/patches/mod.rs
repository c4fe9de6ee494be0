//! Patches for pretraining: cut once, kept as u8 in one file that is mapped into memory.

mod cut;
mod file;
mod params;
mod positions;
#[cfg(test)]
mod tests;

pub use cut::cut;
pub use file::{Patch, Patches};
pub use params::{Edge, PatchParams, Use};
pub use positions::positions;
