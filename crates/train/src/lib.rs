//! How networks are trained: self-supervised methods, and one loop for them and for segmentation.

pub mod ssl;
pub mod train;
