//! Waiting for the first of several events.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes a thread that waits for any of several events. Clones wake the same thread.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<(Mutex<bool>, Condvar)>);

impl Waker {
    /// Wakes the thread that waits, or the next one that will.
    pub fn wake(&self) {
        let (woken, condition) = &*self.0;
        *woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        condition.notify_all();
    }

    /// Waits until [`Waker::wake`] is called. Returns at once if it was called since the last wait.
    pub fn wait(&self) {
        let (woken, condition) = &*self.0;
        let woken = woken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut woken = condition.wait_while(woken, |woken| !*woken).unwrap_or_else(PoisonError::into_inner);
        *woken = false;
    }

    /// [`Waker::wait`], but no longer than `limit`.
    pub fn wait_for(&self, limit: Duration) {
        let (woken, condition) = &*self.0;
        let woken = woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = condition.wait_timeout_while(woken, limit, |woken| !*woken);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_not_lost_whether_it_comes_before_the_wait_or_after() {
        let waker = Waker::default();
        waker.wake();
        waker.wait();
        let other = waker.clone();
        let thread = std::thread::spawn(move || other.wake());
        waker.wait();
        thread.join().unwrap();
    }
}
