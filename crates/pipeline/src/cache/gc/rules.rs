//! Which records may be removed, and whether to remove them.

use super::super::Key;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// Which records may be removed: those that every given rule selects. Without rules no record is removed, only leftovers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Selects records that were neither made nor used for this long. A record is used when a run that had something to do
    /// found it, and when anything that depends on it was made or used.
    pub older_than: Option<Duration>,
    /// Selects all records but these and those that they depend on.
    pub keep: Option<BTreeSet<Key>>,
    /// Selects the least recently used records, until all objects together take at most this many bytes.
    pub max_size: Option<u64>,
    /// When the rules were made. Younger records stay.
    pub now: SystemTime,
}

/// Whether to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only find what would be removed.
    Look,
    /// Remove; safe beside running experiments.
    Delete,
    /// Remove although the file system has no locks. No other process may use the cache meanwhile.
    DeleteUnlocked,
}
