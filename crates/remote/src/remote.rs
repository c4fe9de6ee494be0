//! A shared cache as the remote behind a cache on disk.

use crate::shared_cache::{AT_A_TIME, SharedCache};
use matssl_pipeline::cache::{Download, DownloadError, Key, Record, Remote};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::channel;

impl Remote for SharedCache {
    fn find(&self, keys: &[Key]) -> Vec<Option<Record>> {
        let found = self.find_all(keys);
        for envelope in found.iter().flatten() {
            let (record, origin) = (&envelope.record, &envelope.origin);
            let (stage, by, host, signed_by) = (&record.made.stage, &origin.user, &origin.host, origin.signed_by);
            tracing::debug!(key = %record.key, stage, by, host, at = origin.at, ?signed_by, "found in the shared cache");
        }
        found.into_iter().map(|envelope| envelope.map(|envelope| envelope.record)).collect()
    }

    fn download(&self, wanted: &[Download], arrived: &mut dyn FnMut(usize, Result<(), DownloadError>)) {
        let all: u64 = wanted.iter().map(|wanted| wanted.size).sum();
        let done = AtomicU64::new(0);
        let seen = |bytes: u64| {
            self.observer.progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, all);
        };
        let next = AtomicU64::new(0);
        // Bounded: what has arrived is held to its hash here, and downloads wait for that.
        let (sender, mut receiver) = channel(AT_A_TIME);
        std::thread::scope(|scope| {
            let (seen, next) = (&seen, &next);
            for _ in 0..AT_A_TIME.min(wanted.len()) {
                let sender = sender.clone();
                let work = move || {
                    self.runtime.block_on(async {
                        while let Some((index, wanted)) = take(next, wanted) {
                            let result = self.download_one(wanted, seen).await;
                            if sender.send((index, result)).await.is_err() {
                                return;
                            }
                        }
                    });
                };
                scope.spawn(work);
            }
            drop(sender);
            while let Some((index, result)) = receiver.blocking_recv() {
                arrived(index, result);
            }
        });
        // Also where some have failed: this is the end.
        self.observer.progress(all, all);
    }

    fn say(&self, message: &str) {
        self.say_once(message.to_owned());
    }
}

/// The next object that nobody has taken, with its index.
fn take<'w>(next: &AtomicU64, wanted: &'w [Download]) -> Option<(usize, &'w Download)> {
    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
    Some((index, wanted.get(index)?))
}
