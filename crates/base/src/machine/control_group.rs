//! Memory limits of Linux control groups, versions 1 and 2: what a container, a batch system or a service manager allows.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that the tightest limit on this process leaves, over its own group and every one above; `None` if none is set.
///
/// A group's use counts the pages of files it has read, which the system drops when memory is short: they count as free.
pub(super) fn left(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (mounts, groups) = (read("proc/self/mountinfo"), read("proc/self/cgroup"));
    let mounts = mounts.lines().filter_map(Mount::parse);
    let groups_of = |mount: &Mount| {
        let own = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_it = match mount.version {
                Version::One => controllers.split(',').any(|controller| controller == "memory"),
                Version::Two => controllers.is_empty(),
            };
            is_it.then_some(path)
        });
        mount.folders(root, own.unwrap_or("/"))
    };
    mounts.flat_map(|mount| groups_of(&mount).into_iter().filter_map(move |group| mount.version.left(&group))).min()
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

impl Version {
    fn left(self, group: &Path) -> Option<u64> {
        let (limit, used, dropped) = match self {
            Version::One => {
                ("memory.limit_in_bytes", "memory.usage_in_bytes", ["total_inactive_file", "total_active_file"])
            }
            Version::Two => ("memory.max", "memory.current", ["inactive_file", "active_file"]),
        };
        let read = |name: &str| fs::read_to_string(group.join(name)).ok();
        // Version 2 says `max` for no limit, version 1 a number near 2⁶³.
        let limit: u64 = read(limit)?.trim().parse().ok().filter(|&limit| limit < 1 << 60)?;
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

/// Where a hierarchy with the memory controller is seen.
struct Mount {
    version: Version,
    /// The group that the mount shows as its top.
    top: String,
    place: String,
}

impl Mount {
    /// A line of `/proc/self/mountinfo`: `id parent device root place options… - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (top, place) = (mount.next()?.to_owned(), mount.next()?.to_owned());
        let mut system = system.split(' ');
        let version = match (system.next()?, system.nth(1)) {
            ("cgroup2", _) => Version::Two,
            ("cgroup", Some(options)) if options.split(',').any(|option| option == "memory") => Version::One,
            _ => return None,
        };
        Some(Mount { version, top, place })
    }

    /// The folder of `group` and those above it, as far as they are seen.
    fn folders(&self, root: &Path, group: &str) -> Vec<PathBuf> {
        let place = root.join(self.place.trim_start_matches('/'));
        // A group that the mount does not show (the process is in a container, the path is the host's): its top then.
        let inside = Path::new(group).strip_prefix(&self.top).unwrap_or(Path::new(""));
        let inside = if inside.components().any(|part| part.as_os_str() == "..") { Path::new("") } else { inside };
        inside.ancestors().map(|group| place.join(group)).collect()
    }
}
