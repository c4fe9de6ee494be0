//! A picture as a list of shapes, which is then written as SVG or painted into a bitmap.
//!
//! One list for both keeps them alike, and a test can ask whether two labels overlap.

mod bitmap;
mod dashes;
mod shape;
mod vector;

pub(crate) use shape::{Anchor, Point, Scene, Shape, Text};
