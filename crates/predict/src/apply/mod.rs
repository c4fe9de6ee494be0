//! Many images through one ensemble, with all their files: while one is predicted, the next one is opened and the files of the
//! one before are finished.

#[expect(clippy::module_inception, reason = "one noun a file")]
mod apply;
mod in_memory;
mod item;
mod unusual;

pub use apply::{Apply, Interrupted};
pub use in_memory::InMemory;
pub use item::{Item, Opened, Outcome};
