//! This process: its threads, its memory, its allocator.

use std::fs;
use std::path::Path;

/// The most memory this process has held so far, in MiB; `None` where the system does not say.
pub fn peak_memory_mib() -> Option<u64> {
    Some(status(Path::new("/"), "VmHWM:")? >> 20)
}

/// Bytes that this process holds and cannot give back: no mapped files, which the system drops when memory is short.
/// 0 where the system does not say.
pub fn held_memory() -> u64 {
    held_memory_in(Path::new("/"))
}

/// [`held_memory`] by the files below `root`.
pub(super) fn held_memory_in(root: &Path) -> u64 {
    let part = |name| status(root, name).unwrap_or(0);
    part("RssAnon:") + part("RssShmem:")
}

/// A line of `/proc/self/status`, in bytes.
fn status(root: &Path, name: &str) -> Option<u64> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// Threads this process may run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps freed buffers in the process: giving them back and faulting them in again costs a training step up to a
/// third of its time.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator; called before any other thread exists.
    unsafe {
        // Never by mmap: what that hands out goes back to the system with every free.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
