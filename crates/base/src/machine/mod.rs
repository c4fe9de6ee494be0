//! This machine and its processes: memory, processor, disk, signals, and programs that stages start.

mod control_group;
mod disk;
mod group;
mod host;
mod marked;
mod memory;
mod process;
mod processor;
mod signals;
mod vectorized;
mod waker;

pub use disk::{check_folder, check_writable, free_space, is_disk_full};
pub use group::{Ended, Group, wait_unreaped};
pub use host::host_name;
pub use marked::{MARK, kill_marked, mark, marks};
pub use memory::{Bound, Bytes, LIMIT, Room, room, whole};
pub use process::{
    allocator_tunables, ask_for_memory_in_large_steps, cores, held_memory, memory_kills, peak_memory_mib,
    tune_allocator,
};
pub use processor::{cpu_model, vector_features};
pub use signals::{Asked, ignore_checkpoint_signals};
pub use vectorized::vectorized;
pub use waker::Waker;
