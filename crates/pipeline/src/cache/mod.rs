//! The cache: what finished stages left, found by the hash of everything that it depends on.
//!
//! ```text
//! objects/ab/cdef…      files by content hash, read-only
//! records/<key>.json    one file for each finished stage, written last
//! work/<key>.lock       a stage in progress: locked by the process that computes it
//! work/<key>/           its checkpoints, if it trains
//! work/attempt-…/       private folders, each of one process
//! stat/<root>.txt       (path, size, mtime, ctime, inode) → hash, so that an unchanged data set is not read again
//! last/<experiment>.jsonl   stage of the experiment → its last key, for `explain`
//! last/<experiment>.hits    the records that it found last, so that they are found again without reading them
//! findings/<hash>.json   facts about data, by the hash of everything that they follow from; computed again if missing
//! runs/<run>/           event log and workers' logs of a run; `alive` is locked as long as the run's process lives
//! slurm/<batch>/         jobs of Slurm: what they run and what they have left (`exec/slurm`)
//! gate, gate.next       locks: runs hold the gate shared while they look up or write records, `gc` holds it exclusively
//! damaged/              damaged files that `cache verify` moved there; of the remote: `<hash>.remote`, and `<key>.refused`, the
//!                       objects for which the remote's record of a key does not count
//! ```
//! Invariant: a record exists only if everything that it names is complete on disk. Objects are flushed and renamed into place
//! before the record is linked, and a record is linked only where there is none: the first one wins. Only `--force` replaces a
//! record, in one step.

mod adopted;
mod amount;
mod disk_usage;
mod draft;
mod durable;
mod fetch;
mod file_stamp;
mod findings;
mod folder;
mod gate;
mod gc;
mod hits;
mod last_keys;
mod life;
mod object_files;
mod past_runs;
mod provenance;
mod publish;
mod record;
mod record_files;
mod remote;
mod remote_records;
mod scratch;
mod seal;
mod stat_index;
mod store;
mod temporary_files;
mod unreadable_file;
mod verify;
mod work_folder;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod remote_tests;
#[cfg(test)]
mod traced;

pub use crate::key::{Digest, KEY_SCHEMA, Key, KeyInput, KeyMaterial};
pub use amount::Amount;
pub use disk_usage::bytes_below;
pub use draft::Draft;
pub use gate::Gate;
pub use gc::{Dropped, Mode, Rules, Sweep, gc};
pub use hits::Hits;
pub use last_keys::LastKeys;
pub use life::{Alive, Life, life};
pub use matssl_base::machine::host_name;
pub use past_runs::durations;
pub use provenance::{Build, Provenance};
pub use record::{Output, Record};
pub use remote::{Download, DownloadError, Remote};
pub use scratch::{Scratch, remove_dead};
pub use store::Store;
pub use unreadable_file::UnreadableFile;
pub use verify::{Damage, Fault, Verified, verify};
pub use work_folder::{Attempt, WorkFolder};
