//! Synthetic micrographs with exact masks, for the quick start and the tests.
//!
//! Four phases, as in a scanning electron micrograph of an etched steel: matrix grains (a Voronoi diagram with dark
//! boundaries), lamellar colonies (pearlite), bright islands (martensite/austenite), and dark pores with a bright rim.
//! Blur, shading, scratches and noise are added, none of which changes the mask; with `imaging` the conditions differ from picture
//! to picture. The grey values of the phases overlap:
//! shape and texture distinguish them.

mod blobs;
mod draw;
mod field;
mod grains;
mod imaging;
mod layouts;
mod noise;
mod params;
mod write;

pub use draw::{CLASSES, synthesize_one};
pub use layouts::write_layouts;
pub use params::SynthesizeParams;
pub use write::{outline, synthesize};
