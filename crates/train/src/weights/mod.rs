//! Weight files: PyTorch's names and layouts, as `.safetensors` (written and read) and `.pth` (read).

mod config;
mod error;
mod layout;
mod load;
mod pickle;
mod pth;
mod published;
mod save;
mod storage;
#[cfg(test)]
mod tests;

pub use config::read_config;
pub use error::WeightsError;
pub use load::{LoadReport, load, load_verified};
pub use published::{Published, PublishedFile};
pub use save::save;
