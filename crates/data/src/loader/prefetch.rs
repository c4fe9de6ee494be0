//! Results that are made ahead in a thread while the caller is busy.

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder, current_num_threads};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Maximum number of batches that wait while the network is busy.
const AHEAD: usize = 2;

/// Maximum number of batches in memory at once: those that wait, the one in use, the one being made, and one to spare.
pub const BATCHES_HELD: u64 = AHEAD as u64 + 3;

/// The results of `make(0)`, `make(1)`, … in order, made ahead in a thread. Dropping it stops the thread after the
/// current result.
pub struct Prefetch<T> {
    /// `None` only while being dropped.
    receiver: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Calls `make` for 0..`n` in the background, at most two results ahead and in order.
///
/// `make` runs in a rayon pool of its own with as many threads as the caller's pool, whose threads may all be waiting for a
/// batch.
///
/// # Errors
/// If no threads can be started.
pub fn prefetch<T: Send + 'static>(
    n: usize,
    make: impl Fn(usize) -> T + Send + 'static,
) -> Result<Prefetch<T>, ThreadPoolBuildError> {
    let (sender, receiver) = sync_channel(AHEAD);
    let pool = ThreadPoolBuilder::new().num_threads(current_num_threads()).build()?;
    let work = move || {
        for i in 0..n {
            if sender.send(make(i)).is_err() {
                return;
            }
        }
    };
    Ok(Prefetch { receiver: Some(receiver), thread: Some(std::thread::spawn(move || pool.install(work))) })
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Ok(item) = self.receiver.as_ref()?.recv() {
            return Some(item);
        }
        // The thread is done or panicked. A panic is passed on, so that an epoch never ends early without an error.
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        // Without a receiver the thread's next send fails.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn results_come_in_order_and_at_most_two_wait() {
        let (started, starts) = channel();
        let mut items = prefetch(50, move |i| {
            started.send(i).unwrap();
            i * i
        })
        .unwrap();
        assert_eq!(items.next(), Some(0));
        // One was taken, two wait, and the thread holds the next one until there is room.
        let made: Vec<usize> = (0..4).map(|_| starts.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
        assert_eq!(made, [0, 1, 2, 3]);
        for taken in 1..46 {
            assert!(starts.try_recv().is_err(), "more is made ahead than may wait");
            assert_eq!(items.next(), Some(taken * taken));
            // There is room again: exactly one more is made.
            assert_eq!(starts.recv_timeout(Duration::from_secs(60)).unwrap(), taken + 3);
        }
        assert_eq!(items.collect::<Vec<_>>(), (46..50).map(|i| i * i).collect::<Vec<_>>());
        assert_eq!(prefetch(0, |i| i).unwrap().next(), None);
    }

    #[test]
    fn dropping_stops_the_thread_and_a_panic_of_the_thread_is_passed_on() {
        drop(prefetch(usize::MAX, |i| i).unwrap());
        let caught = std::panic::catch_unwind(|| {
            prefetch(3, |i| if i == 1 { std::panic::resume_unwind(Box::new("broken")) } else { i }).unwrap().count()
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"broken"));
    }
}
