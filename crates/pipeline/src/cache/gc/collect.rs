//! `gc` itself: locks the cache, finds what may be removed, and removes it.

use super::super::Store;
use super::super::gate::{Exclusive, Gate};
use super::find::find;
use super::rules::{Mode, Rules};
use super::sweep::Sweep;
use anyhow::{Context as _, Result, bail};
use std::time::Duration;

/// How long it waits for runs that are planning or publishing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Finds what may be removed by `rules`, and removes it if `mode` says so.
///
/// # Errors
/// If the cache cannot be read or written, if the file system has no locks, or if runs hold the gate for a minute.
pub fn gc(store: &Store, rules: &Rules, mode: Mode) -> Result<Sweep> {
    let _gate = match mode {
        Mode::Look => None,
        Mode::Delete | Mode::DeleteUnlocked => lock(store, mode)?,
    };
    let sweep = find(store, rules)?;
    if mode != Mode::Look {
        sweep.delete(store)?;
    }
    Ok(sweep)
}

/// Holds the gate exclusively; `None` without locks, if the mode allows that.
fn lock(store: &Store, mode: Mode) -> Result<Option<Gate>> {
    match Gate::exclusive(store, PATIENCE).context("cannot lock the cache")? {
        Exclusive::Held(gate) => Ok(Some(gate)),
        Exclusive::Busy => bail!(
            "a run has been reading its data or publishing in {} for a minute; try again later",
            store.root().display()
        ),
        Exclusive::NoLocks if mode == Mode::DeleteUnlocked => Ok(None),
        Exclusive::NoLocks => bail!(
            "the file system of {} has no locks, so running experiments cannot be detected; if there are none, add \
             --unlocked",
            store.root().display()
        ),
    }
}
