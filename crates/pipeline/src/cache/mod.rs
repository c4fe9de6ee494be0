//! The cache: what a finished stage left, found again by the hash of all that it depends on.
//!
//! ```text
//! objects/ab/cdef…      files by content hash, read-only
//! records/<key>.json    one file a finished stage, written last
//! work/<key>.lock       in progress: held by whoever is at it
//! work/<key>/           its checkpoints, if it trains
//! work/attempt-…/       private folders, each of one process
//! stat/<root>.txt       (path, size, mtime, ctime, inode) → hash, so that an unchanged data set costs a stat
//! last/<experiment>.jsonl   experiment stage → its last key, for `explain`
//! last/<experiment>.hits    what it found last, so that finding it again reads no record
//! findings/<hash>.json   facts about data, by the hash of all that they follow from; worked out again without
//! runs/<run>/           event logs and workers' logs; `alive` is locked as long as the run lives
//! gate, gate.next       locks: runs hold the gate shared while they find or write what `gc` must see, `gc` alone
//! damaged/              what `cache verify` found damaged and set aside
//! ```
//! Invariant: a record exists only if everything it names is whole on disk. Objects are flushed and linked into
//! place before the record is, and a record is only linked where none was: the first wins. Only `--force` puts a new
//! record in an old one's place, in one step.

mod gate;
mod gc;
mod hits;
mod kept;
mod last_keys;
mod listing;
mod publish;
mod record;
mod scratch;
mod stat_index;
mod store;
mod verify;
mod work;

pub use crate::key::{Digest, KEY_SCHEMA, Key, KeyInput, KeyMaterial};
pub use gate::{Alive, Gate, Life, durations, life};
pub use gc::{Amount, Dropped, Mode, Rules, Sweep, gc};
pub use hits::Hits;
pub use last_keys::LastKeys;
pub use listing::RecordFile;
pub use publish::Draft;
pub use record::{Build, Output, Provenance, Record};
pub use scratch::{Scratch, remove_dead};
pub use store::Store;
pub use verify::{Damage, Verified, verify};
pub use work::{Attempt, WorkFolder, host_name};
