//! A graph of stages as a picture: each family is one node, coloured by the state of its stages.

mod dot;
mod graph;
mod layout;
mod node;
mod picture;

pub use graph::Drawing;
pub use node::Standing;
