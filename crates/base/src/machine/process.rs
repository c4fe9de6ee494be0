//! This process: its threads, its memory, its allocator.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Peak memory of this process so far, in MiB; `None` if the system does not say.
pub fn peak_memory_mib() -> Option<u64> {
    Some(line(Path::new("/"), "status", "VmHWM:")? >> 20)
}

/// Number of bytes that this process uses, without pages of mapped files, which the system drops when memory is short. 0 if the
/// system does not say.
pub fn held_memory() -> u64 {
    held_memory_in(Path::new("/"))
}

/// The same as [`held_memory`] by the files below `root`.
pub(super) fn held_memory_in(root: &Path) -> u64 {
    // `Anonymous` is counted page by page. `RssAnon` is off by megabytes on machines with many processors, because each keeps a
    // part of the count to itself.
    let anonymous = line(root, "smaps_rollup", "Anonymous:").or_else(|| line(root, "status", "RssAnon:"));
    anonymous.unwrap_or(0) + line(root, "status", "RssShmem:").unwrap_or(0)
}

/// Number of processes that this machine's system has killed because memory ran out; 0 if it does not say.
pub fn memory_kills() -> u64 {
    let counts = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    counts.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

/// The line `name` of `/proc/self/<file>`, in bytes.
fn line(root: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self").join(file)).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// Number of threads that this process can run at a time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Makes glibc's allocator in this process request memory in steps of 8 MiB. With its steps of 128 KiB, the system calls take a
/// tenth of the time in which a thousand stages are found in the cache. Memory that is not touched occupies nothing.
pub fn ask_for_memory_in_large_steps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: this sets a number that the allocator reads under its own lock.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, 8 << 20);
    }
}

/// Sets up glibc's allocator for training, in the process that `command` will start:
/// - It keeps freed buffers: returning them to the system and faulting them in again costs up to a third of a step.
/// - It requests pages of 2 MiB, which are faster to fault in and to look up.
/// - All threads share one heap, so that one can use what another has freed: a seventh of a U-Net++'s memory.
///
/// It has no effect with another allocator, or where there are no such pages.
pub fn tune_allocator(command: &mut Command) {
    command.env("GLIBC_TUNABLES", allocator_tunables());
}

/// The value of `GLIBC_TUNABLES` for [`tune_allocator`].
pub fn allocator_tunables() -> String {
    // `mmap_max`: memory from mmap would go back to the system with every free.
    let ours = format!(
        "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={}:glibc.malloc.top_pad={}:glibc.malloc.hugetlb=1:\
         glibc.malloc.arena_max=1",
        u64::MAX,
        64 << 20
    );
    // The user's settings come last, because the last one counts for glibc.
    match std::env::var("GLIBC_TUNABLES") {
        Ok(theirs) if !theirs.is_empty() => format!("{ours}:{theirs}"),
        _ => ours,
    }
}
