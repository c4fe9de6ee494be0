//! How much memory this process may use.

use super::{control_group, process};
use crate::units;
use std::fmt;
use std::path::Path;

/// The environment variable that overrides how much memory a stage's process may use, e.g. `MATSSL_MEMORY_LIMIT=12GiB`.
pub const LIMIT: &str = "MATSSL_MEMORY_LIMIT";

/// How much memory this process may use in total, including what it uses already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In bytes.
    pub bytes: u64,
    /// What sets this limit.
    pub bound: Bound,
}

/// What limits the memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The user, with [`LIMIT`].
    User,
    /// A control group: a container, a batch system, a service manager.
    ControlGroup,
    /// The machine's free memory.
    Machine,
    /// The free memory of the GPU in use.
    Gpu,
}

/// A number of bytes that is displayed in binary units with one decimal, e.g. `9.3 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: f64 = 1024.0;
        let kib = self.0 as f64 / KIB;
        let (value, unit) = if kib >= KIB * KIB {
            (kib / KIB / KIB, "GiB")
        } else if kib >= KIB {
            (kib / KIB, "MiB")
        } else {
            (kib, "KiB")
        };
        write!(f, "{value:.1} {unit}")
    }
}

/// How much memory this process may use now: what it uses already, and the smaller of the machine's available memory (Linux's
/// `MemAvailable`, without swap) and of what control groups allow. [`LIMIT`] overrides it. `None` if the system does not say.
///
/// # Errors
/// If [`LIMIT`] is not a size.
pub fn room() -> Result<Option<Room>, String> {
    limited().map(|limit| limit.or_else(|| room_in(Path::new("/"))))
}

/// How much memory this process may use when nothing else does: the smaller of the machine's memory and of what control groups allow.
/// [`LIMIT`] overrides it. It does not change with what runs beside. `None` if the system does not say.
///
/// # Errors
/// If [`LIMIT`] is not a size.
pub fn whole() -> Result<Option<Room>, String> {
    limited().map(|limit| limit.or_else(|| whole_in(Path::new("/"))))
}

/// What the user sets with [`LIMIT`].
fn limited() -> Result<Option<Room>, String> {
    match std::env::var_os(LIMIT) {
        Some(limit) => {
            let limit = limit.to_string_lossy();
            let message = |why: String| format!("{LIMIT}={limit} is not a size of memory: {why}");
            let bytes = units::bytes(&limit).and_then(|bytes| match bytes {
                0 => Err("expected more than 0 bytes".to_owned()),
                bytes => Ok(bytes),
            });
            let bytes = bytes.map_err(message)?;
            Ok(Some(Room { bytes, bound: Bound::User }))
        }
        None => Ok(None),
    }
}

/// [`whole`] by the files below `root`, without [`LIMIT`].
fn whole_in(root: &Path) -> Option<Room> {
    let machine = memory_of(root, "MemTotal:").map(|bytes| Room { bytes, bound: Bound::Machine });
    let group = control_group::memory_limit(root).map(|bytes| Room { bytes, bound: Bound::ControlGroup });
    machine.into_iter().chain(group).min_by_key(|room| room.bytes)
}

/// The same by the files below `root`, without [`LIMIT`].
fn room_in(root: &Path) -> Option<Room> {
    let machine = memory_of(root, "MemAvailable:").map(|bytes| Room { bytes, bound: Bound::Machine });
    let group = control_group::available_memory(root).map(|bytes| Room { bytes, bound: Bound::ControlGroup });
    let room = machine.into_iter().chain(group).min_by_key(|room| room.bytes)?;
    Some(Room { bytes: room.bytes.saturating_add(process::held_memory_in(root)), ..room })
}

/// A line of `/proc/meminfo`, in bytes.
fn memory_of(root: &Path, name: &str) -> Option<u64> {
    let info = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const GIB: u64 = 1 << 30;

    /// A machine with 8 GiB available, on which this process uses 1 GiB; with the additional `files`.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let base = [
            ("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  9 kB\nMemAvailable:    8388608 kB\n"),
            (
                "proc/self/status",
                "Name:\tx\nVmRSS:\t 1572864 kB\nRssAnon:\t  917504 kB\nRssFile:\t  524288 kB\nRssShmem:\t  131072 kB\n",
            ),
        ];
        for (name, text) in base.iter().chain(files) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn room_with(files: &[(&str, &str)]) -> Option<Room> {
        room_in(machine(files).path())
    }

    const V2: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    #[test]
    fn without_limits_a_process_may_use_what_is_available_and_what_it_uses() {
        let machine = Some(Room { bytes: 9 * GIB, bound: Bound::Machine });
        assert_eq!(room_with(&[]), machine);
        // How both versions write that there is no limit.
        let unlimited = [
            ("proc/self/mountinfo", V2),
            ("proc/self/cgroup", "0::/user.slice\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "5\n"),
        ];
        assert_eq!(room_with(&unlimited), machine);
        let unlimited = [
            ("proc/self/mountinfo", V1),
            ("proc/self/cgroup", "4:memory:/a\n1:cpu:/\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "5\n"),
        ];
        assert_eq!(room_with(&unlimited), machine);
        assert_eq!(room_in(Path::new("/nowhere/at/all")), None);
    }

    #[test]
    fn the_tightest_group_above_counts_and_cached_files_count_as_free() {
        // The process's own group allows more than a group above it.
        let files = [
            ("proc/self/mountinfo", V2),
            ("proc/self/cgroup", "0::/slurm/job/step\n"),
            ("sys/fs/cgroup/slurm/job/step/memory.max", "max\n"),
            ("sys/fs/cgroup/slurm/job/step/memory.current", "1073741824\n"),
            ("sys/fs/cgroup/slurm/job/memory.max", "4294967296\n"),
            ("sys/fs/cgroup/slurm/job/memory.current", "3221225472\n"),
            ("sys/fs/cgroup/slurm/job/memory.stat", "anon 1\ninactive_file 536870912\nactive_file 536870912\nfile 9\n"),
            ("sys/fs/cgroup/slurm/memory.max", "34359738368\n"),
            ("sys/fs/cgroup/slurm/memory.current", "3221225472\n"),
        ];
        // The limit is 4, of which 3 are used, 1 of them by file pages; and the process uses 1 already.
        assert_eq!(room_with(&files), Some(Room { bytes: 3 * GIB, bound: Bound::ControlGroup }));
        // In all, the limit itself, and without one the machine's memory: whatever is used.
        assert_eq!(whole_in(machine(&files).path()), Some(Room { bytes: 4 * GIB, bound: Bound::ControlGroup }));
        assert_eq!(whole_in(machine(&[]).path()), Some(Room { bytes: 16 * GIB, bound: Bound::Machine }));
    }

    #[test]
    fn limits_of_version_1_count_also_in_a_container_whose_mount_shows_its_own_group_as_root() {
        let limits = |folder: &str, files: &mut Vec<(String, String)>| {
            for (name, text) in [
                ("memory.limit_in_bytes", "2147483648\n"),
                ("memory.usage_in_bytes", "2147483648\n"),
                ("memory.stat", "inactive_file 7\ntotal_inactive_file 1073741824\ntotal_active_file 0\n"),
            ] {
                files.push((format!("{folder}/{name}"), text.to_owned()));
            }
        };
        // First the host's path of the group, which the mount does not show; then a group that is the mount's root.
        for (group, top) in [("/docker/abc", "/"), ("/docker/abc", "/docker/abc"), ("/../other", "/")] {
            let mount = V1.replace("0:32 / ", &format!("0:32 {top} "));
            let group = format!("12:memory,hugetlb:{group}\n0::/\n");
            let mut files = vec![("proc/self/mountinfo".to_owned(), mount), ("proc/self/cgroup".to_owned(), group)];
            limits("sys/fs/cgroup/memory", &mut files);
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
            assert_eq!(room_with(&files), Some(Room { bytes: 2 * GIB, bound: Bound::ControlGroup }));
        }
    }

    #[test]
    fn this_machine_has_memory_for_this_test() {
        if let Some(room) = room_in(Path::new("/")) {
            assert!(room.bytes > process::held_memory() && process::held_memory() > 100_000, "{room:?}");
        }
    }

    #[test]
    fn bytes_are_displayed_in_binary_units() {
        let shown = [0, 1000, 1 << 20, (5 << 30) + (205 << 20)].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(shown, ["0.0 KiB", "1.0 KiB", "1.0 MiB", "5.2 GiB"]);
    }
}
