//! This process: its threads, its memory, its allocator.

use std::fs;
use std::path::Path;
use std::process::Command;

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

/// Tells glibc's allocator, in the process that `command` will start, to suit training: it keeps freed buffers, for
/// giving them back and faulting them in again costs up to a third of a step, and it asks for pages of 2 MiB, which are
/// quicker to fault in and to find. Nothing happens where the system has another allocator or no such pages.
pub fn tune_allocator(command: &mut Command) {
    // `mmap_max`: what mmap hands out goes back to the system with every free.
    let ours = format!(
        "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={}:glibc.malloc.top_pad={}:glibc.malloc.hugetlb=1",
        u64::MAX,
        64 << 20
    );
    // The user's come last: glibc takes the last it finds.
    let tunables = match std::env::var("GLIBC_TUNABLES") {
        Ok(theirs) if !theirs.is_empty() => format!("{ours}:{theirs}"),
        _ => ours,
    };
    command.env("GLIBC_TUNABLES", tunables);
}
