//! Model folders, and predictions for images of any size.
//!
//! A [`model`] folder holds a trained network with all that is needed to apply it. The [`engine`] predicts an image in bands
//! of rows, in bounded memory.

pub mod engine;
pub mod model;
