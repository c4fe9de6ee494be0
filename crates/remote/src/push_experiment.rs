//! Pushes what an experiment has on this disk, and lists it.

use crate::error::RemoteError;
use crate::push::{Pushed, Pushing, records_here};
use crate::shared_cache::SharedCache;
use matssl_pipeline::cache::{Key, Record, Store};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// A push that meets one `gc` after the other gives up after so many.
const MOST_ROUNDS: usize = 3;

/// What to push.
#[derive(Clone, Copy, Debug)]
pub struct Push<'p> {
    /// The cache on this disk.
    pub store: &'p Store,
    /// Name of the experiment.
    pub experiment: &'p str,
    /// The keys of its stages, inputs first. Those that are not on this disk are listed, but not pushed.
    pub keys: &'p [Key],
    /// Whether these are all stages of the experiment.
    pub all: bool,
    /// Whether nothing is written.
    pub is_dry: bool,
}

impl SharedCache {
    /// Pushes an experiment. What is there already is not sent again, so a push that was ended goes on where it was. With
    /// `is_stopped` it ends after the present object.
    ///
    /// # Errors
    /// If the remote cannot be reached or written. What could not be pushed is no error here: see [`Pushed::failed`].
    pub fn push(&self, push: &Push<'_>, is_stopped: &(dyn Fn() -> bool + Sync)) -> Result<Pushed, RemoteError> {
        let Push { store, keys, is_dry, .. } = *push;
        let here = records_here(store, keys);
        if is_dry {
            if !self.connect()? {
                return Ok(all_of(&here));
            }
            return Ok(self.push_records(&here, &pushing(store, &here, true, is_stopped)));
        }
        self.make()?;
        let mut before = self.gc_files()?;
        let mut pushed: Option<Pushed> = None;
        for _ in 0..MOST_ROUNDS {
            // First the list: from now on `gc` keeps what is on it.
            let now = self.list(store, push.experiment, keys, push.all)?;
            let was_running = before.is_running(&now);
            let round = self.push_records(&here, &pushing(store, &here, false, is_stopped));
            pushed = Some(match pushed {
                None => round,
                // The last round says what is missing, all rounds say what was sent.
                Some(before) => Pushed {
                    records: before.records.max(round.records),
                    objects: matssl_pipeline::cache::Amount {
                        count: before.objects.count + round.objects.count,
                        bytes: before.objects.bytes + round.objects.bytes,
                    },
                    ..round
                },
            });
            if self.takes_nothing() || is_stopped() {
                return Ok(pushed.unwrap_or_default());
            }
            let after = self.wait_for_gc(&now, is_stopped)?;
            if after.is_as(&before) && !was_running {
                return Ok(pushed.unwrap_or_default());
            }
            before = after;
        }
        self.say_once(format!(
            "a `cache gc --remote` ran beside each of {MOST_ROUNDS} tries; push again, so that nothing is missing"
        ));
        Ok(pushed.unwrap_or_default())
    }
}

fn pushing<'p>(
    store: &'p Store,
    records: &[Record],
    is_dry: bool,
    is_stopped: &'p (dyn Fn() -> bool + Sync),
) -> Pushing<'p> {
    let all = AtomicU64::new(all_of(records).objects.bytes);
    Pushing { store, checks_objects: true, is_dry, is_stopped, done: AtomicU64::new(0), all }
}

/// What a push to an empty remote would do.
fn all_of(records: &[Record]) -> Pushed {
    let mut pushed = Pushed { records: records.len(), ..Pushed::default() };
    let outputs = records.iter().flat_map(|record| &record.outputs);
    let objects: BTreeMap<_, u64> = outputs.map(|output| (output.digest, output.size)).collect();
    objects.into_values().for_each(|size| pushed.objects += size);
    pushed
}
