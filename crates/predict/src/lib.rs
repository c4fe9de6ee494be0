//! Model folders, and predictions for images of any size.
//!
//! A [`model`] folder holds a trained network with all that is needed to apply it. The [`engine`] predicts an image in bands
//! of rows, in bounded memory. A [`reference`] says what the training images look like.

pub mod engine;
pub mod model;
pub mod reference;
