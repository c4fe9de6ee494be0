//! Many images through one ensemble, with all their files: while one is predicted, the next one is opened and the files of the
//! one before are finished.

mod apply;
mod in_memory;
mod item;
mod unusual;

pub use apply::{Apply, Interrupted};
pub use in_memory::InMemory;
pub use item::{Item, Opened, Outcome};
