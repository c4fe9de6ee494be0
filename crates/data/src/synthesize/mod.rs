//! Micrographs drawn from nothing, with exact masks: what the quick start and the tests train on.
//!
//! Four phases, as in a scanning electron micrograph of an etched steel: matrix grains (a Voronoi diagram with dark
//! boundaries), lamellar colonies (pearlite), bright islands (martensite/austenite), and dark pores with a bright rim.
//! Over it lie blur, shading, scratches and noise, none of which changes the mask. The grey values of the phases
//! overlap: shape and texture tell them apart.

mod blobs;
mod draw;
mod grains;
mod layouts;
mod noise;
mod params;
mod write;

pub use draw::synthesize_one;
pub use layouts::write_layouts;
pub use params::SynthesizeParams;
pub use write::synthesize;

/// The phases, in the order of their mask values.
pub const CLASSES: [&str; 4] = ["matrix", "lamellar", "island", "pore"];
