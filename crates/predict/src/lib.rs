//! Model folders, and predictions for images of any size.
//!
//! A [`model`] folder holds a trained network with all that is needed to apply it. The [`engine`] predicts an image in bands
//! of rows, in bounded memory; [`output`] writes them to files, and [`results`] makes tables and a page of all images. A
//! [`mod@reference`] says what the training images look like.

pub mod apply;
pub mod engine;
pub mod measure;
pub mod model;
pub mod output;
pub mod reference;
pub mod results;
