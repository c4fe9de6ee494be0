//! Who shows what a shared cache does.

/// Shows what a shared cache does. Called from several threads.
pub trait Observer: Send + Sync {
    /// Something that the user must know, in one line. It does not stop the run.
    fn say(&self, message: &str);

    /// `done` of `all` bytes are on the other side.
    fn progress(&self, done: u64, all: u64);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn say(&self, _: &str) {}

    fn progress(&self, _: u64, _: u64) {}
}
