//! Synthetic micrographs with exact masks, for the quick start and the tests.
//!
//! The first structure has four phases, as in a scanning electron micrograph of an etched steel: matrix grains (a Voronoi
//! diagram with dark boundaries), lamellar colonies (pearlite), bright islands (martensite/austenite), and dark pores with a bright rim.
//! Blur, shading, scratches and noise are added, none of which changes the mask; with `imaging` the conditions differ from picture
//! to picture. The grey values of the phases overlap: shape and texture distinguish them. [`Structure`] lists the other structures.
//! [`Likeness`] draws all of them in the style of a real data set.

mod blobs;
mod coating;
mod correlation;
mod cracks;
mod dendrites;
mod draw;
mod drawing;
mod field;
mod fissures;
mod grains;
mod imaging;
mod layouts;
mod likeness;
mod needles;
mod noise;
mod params;
mod pores;
mod scale;
mod steel;
mod structure;
mod style;
mod write;

pub use draw::synthesize_one;
pub use layouts::write_layouts;
pub use likeness::{Likeness, MEASURED, StyleReport};
pub use params::SynthesizeParams;
pub use structure::Structure;
pub use style::Style;
pub use write::{outline, synthesize, synthesize_like};
