//! Weight files: PyTorch's names and layouts, as `.safetensors` (written and read) and `.pth` (read).

mod bias_table;
mod check;
mod config;
mod error;
mod find;
mod first_convolution;
mod foreign;
mod layout;
mod load;
mod naming;
mod pickle;
mod pth;
mod published;
mod request;
mod resemblance;
mod save;
mod storage;
mod stored;
mod take;
#[cfg(test)]
mod tests;
mod weight_file;

pub use check::{check, check_bytes};
pub use config::read_config;
pub use error::{Differences, WeightsError};
pub use load::{load, load_chosen, load_new, load_verified};
pub use published::{Published, PublishedFile};
pub use request::{LoadReport, Request};
pub use save::save;
