//! This process: its threads, its memory, its allocator.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The most memory this process has held so far, in MiB; `None` where the system does not say.
pub fn peak_memory_mib() -> Option<u64> {
    Some(line(Path::new("/"), "status", "VmHWM:")? >> 20)
}

/// Bytes that this process holds and cannot give back: no mapped files, which the system drops when memory is short.
/// 0 where the system does not say.
pub fn held_memory() -> u64 {
    held_memory_in(Path::new("/"))
}

/// [`held_memory`] by the files below `root`.
pub(super) fn held_memory_in(root: &Path) -> u64 {
    // Counted page by page where the system does that: `RssAnon` is off by megabytes on machines with many processors,
    // each of which keeps a part of the count to itself.
    let anonymous = line(root, "smaps_rollup", "Anonymous:").or_else(|| line(root, "status", "RssAnon:"));
    anonymous.unwrap_or(0) + line(root, "status", "RssShmem:").unwrap_or(0)
}

/// How many processes of this machine the system has killed for want of memory; 0 where it does not say.
pub fn memory_kills() -> u64 {
    let counts = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    counts.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

/// A line of `/proc/self/<file>`, in bytes.
fn line(root: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self").join(file)).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// Threads this process may run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Tells glibc's allocator of this process to ask for memory 8 MiB at a time: in steps of 128 KiB the system calls for a
/// thousand stages take a tenth of the time to find them cached. What is not touched occupies nothing.
pub fn ask_for_memory_in_large_steps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a number that the allocator reads under its own lock.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, 8 << 20);
    }
}

/// Tells glibc's allocator, in the process that `command` will start, to suit training: it keeps freed buffers, for
/// giving them back and faulting them in again costs up to a third of a step; it asks for pages of 2 MiB, which are
/// quicker to fault in and to find; and all threads have one heap, for what one frees another can use (a seventh of a
/// U-Net++'s memory). Nothing happens where the system has another allocator or no such pages.
pub fn tune_allocator(command: &mut Command) {
    // `mmap_max`: what mmap hands out goes back to the system with every free.
    let ours = format!(
        "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={}:glibc.malloc.top_pad={}:glibc.malloc.hugetlb=1:\
         glibc.malloc.arena_max=1",
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
