//! Networks and how they are trained: self-supervised methods, losses, one loop for all tasks, inference, weight files.

pub mod losses;
pub mod networks;
pub mod ssl;
pub mod train;
pub mod weights;
