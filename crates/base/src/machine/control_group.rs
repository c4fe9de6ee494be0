//! Memory limits of Linux control groups, versions 1 and 2: those of containers, batch systems and service managers.

use std::fs;
use std::path::{Path, PathBuf};

/// Number of bytes that this process may still use by the tightest limit of its own control group and all groups above; `None`
/// without a limit.
///
/// Pages of files that were read count as free here, although a group counts them as used: the system drops them when memory is
/// short.
pub(super) fn available_memory(root: &Path) -> Option<u64> {
    tightest(root, Version::available)
}

/// The tightest limit of the memory of its own control group and all groups above, in bytes, whatever is used of it; `None` without a
/// limit.
pub(super) fn memory_limit(root: &Path) -> Option<u64> {
    tightest(root, Version::limit)
}

/// The smallest number of bytes that `of` finds for this process's group and all groups above.
fn tightest(root: &Path, of: impl Fn(Version, &Path) -> Option<u64>) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (mounts, groups) = (read("proc/self/mountinfo"), read("proc/self/cgroup"));
    let mounts = mounts.lines().filter_map(Mount::parse);
    let groups_of = |mount: &Mount| {
        let own = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_memory = match mount.version {
                Version::One => controllers.split(',').any(|controller| controller == "memory"),
                Version::Two => controllers.is_empty(),
            };
            is_memory.then_some(path)
        });
        mount.folders(root, own.unwrap_or("/"))
    };
    mounts
        .flat_map(|mount| groups_of(&mount).into_iter().map(move |group| (mount.version, group)))
        .filter_map(|(version, group)| of(version, &group))
        .min()
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The limit of `group` in bytes.
    fn limit(self, group: &Path) -> Option<u64> {
        let file = match self {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        };
        // Version 2 says `max` for no limit, version 1 a number near 2⁶³.
        fs::read_to_string(group.join(file)).ok()?.trim().parse().ok().filter(|&limit: &u64| limit < 1 << 60)
    }

    /// Number of bytes that are left of the limit of `group`.
    fn available(self, group: &Path) -> Option<u64> {
        let (used, dropped) = match self {
            Version::One => ("memory.usage_in_bytes", ["total_inactive_file", "total_active_file"]),
            Version::Two => ("memory.current", ["inactive_file", "active_file"]),
        };
        let read = |name: &str| fs::read_to_string(group.join(name)).ok();
        let limit = self.limit(group)?;
        let used: u64 = read(used)?.trim().parse().ok()?;
        let stat = read("memory.stat").unwrap_or_default();
        let of = |line: &str| {
            let (name, bytes) = line.split_once(' ')?;
            dropped.contains(&name).then(|| bytes.trim().parse::<u64>().ok())?
        };
        let dropped: u64 = stat.lines().filter_map(of).sum();
        Some(limit.saturating_sub(used.saturating_sub(dropped)))
    }
}

/// A mounted hierarchy of control groups that has the memory controller.
struct Mount {
    version: Version,
    /// The group that the mount shows as its root.
    root_group: String,
    /// Absolute path.
    mount_point: String,
}

impl Mount {
    /// A line of `/proc/self/mountinfo`: `id parent device root mount-point options… - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root_group, mount_point) = (mount.next()?.to_owned(), mount.next()?.to_owned());
        let mut system = system.split(' ');
        let version = match (system.next()?, system.nth(1)) {
            ("cgroup2", _) => Version::Two,
            ("cgroup", Some(options)) if options.split(',').any(|option| option == "memory") => Version::One,
            _ => return None,
        };
        Some(Mount { version, root_group, mount_point })
    }

    /// The folder of `group` and those above it, as far as the mount shows them.
    fn folders(&self, root: &Path, group: &str) -> Vec<PathBuf> {
        let mount_point = root.join(self.mount_point.trim_start_matches('/'));
        // In a container the path may be the host's, which the mount does not show: then the root group is the process's own.
        let inside = Path::new(group).strip_prefix(&self.root_group).unwrap_or(Path::new(""));
        let inside = if inside.components().any(|part| part.as_os_str() == "..") { Path::new("") } else { inside };
        inside.ancestors().map(|group| mount_point.join(group)).collect()
    }
}
