//! Private folders to work in, which one process uses again and again.
//!
//! Making and removing folders is slow on some file systems: on ext4 with `discard`, each removal of a file that is not empty
//! waits for the disk. Moving them is fast. So a folder that is no longer needed is emptied and used again, and files that must
//! be removed are moved to a trash folder, which is removed when the process ends.

mod folder;
mod locked_folder;
mod pool;
mod trash;

pub use folder::Scratch;
pub use locked_folder::remove_dead;
pub(super) use locked_folder::{is_abandoned, is_of_this_host, is_private_folder, remove_all};
pub(super) use pool::Pool;
