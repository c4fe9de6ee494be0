//! Caches on disks that are full, or cannot be written.

use crate::pipeline::Pipeline;
use crate::reports::toy;
use crate::tally::{Harm, Tally};
use crate::world::World;
use matssl_run::random::Stream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory.
struct Disk(PathBuf);

impl Disk {
    /// None where that takes rights which this process has not.
    fn mount(folder: &Path, size: &str) -> Option<Disk> {
        std::fs::create_dir_all(folder).unwrap();
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).output();
        if done.is_ok_and(|done| done.status.success()) {
            return Some(Disk(folder.to_owned()));
        }
        println!("skipped: cannot mount a tmpfs");
        None
    }

    fn change(&self, options: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs with so many KiB of room, then with enough.
pub(crate) fn full(rooms: impl Iterator<Item = u64>, stream: &Stream, tally: &Tally) {
    let mut world = World::new(&Pipeline::bulky(), stream.clone(), tally);
    world.fault = "full disk";
    for room in rooms {
        let Some(disk) = Disk::mount(&world.cache(), &format!("{room}k")) else { return };
        let mut full = 0;
        for _ in 0..2 {
            let run = world.project.start(&["experiment.toml"]);
            if let Some(ended) = world.end(run, &[Some(0), Some(3)]) {
                full += usize::from(ended.code != Some(0));
                if ended.code != Some(0)
                    && !["No space left on device", "KiB of space left"].iter().any(|said| ended.stderr.contains(said))
                {
                    world.harm(Harm::Ended, format!("with {room} KiB: {:?}: {}", ended.code, ended.stderr));
                }
            }
            world.nothing_is_left();
        }
        disk.change("size=64m");
        world.look();
        if full > 0 && world.cache().join("layout").exists() {
            world.all_is_whole();
        }
        world.done(full > 0);
        world.clean_run();
        world.all_is_whole();
        world.nothing_is_left();
        drop(disk);
        // The cache is gone with its disk.
        world.forget_all();
    }
}

/// Everything is there and nothing can be written.
pub(crate) fn read_only(tally: &Tally) {
    const FAULT: &str = "read-only cache";
    let project = toy();
    let Some(disk) = Disk::mount(&project.path("cache"), "64m") else { return };
    let first = project.run(&["experiment.toml"]).ok();
    let reports = project.files("reports");
    std::fs::remove_dir_all(project.path("reports")).unwrap();
    disk.change("ro");
    let again = project.run(&["experiment.toml"]);
    let harm = |harm: Harm, what: String| tally.harm(FAULT, harm, what);
    if again.code != Some(0) || again.stdout != first.stdout || again.ran() != 0 {
        harm(Harm::Ended, format!("{:?}: {}{}", again.code, again.stdout, again.stderr));
    }
    if project.files("reports") != reports {
        harm(Harm::Wrong, "other reports".into());
    }
    for verb in [
        &["plan", "experiment.toml"][..],
        &["explain", "experiment.toml", "patches"],
        &["explain", "experiment.toml", "--cell", "table:test.segment.matssl,mIoU"],
        &["status"],
        &["cache", "ls"],
        &["cache", "verify"],
        &["cache", "gc"],
    ] {
        let done = project.run(verb);
        if done.code != Some(0) {
            harm(Harm::Ended, format!("{verb:?}: {:?}: {}{}", done.code, done.stdout, done.stderr));
        }
    }
    for args in [
        &["experiment.toml", "--force", "patches"][..],
        &["experiment.toml", "--set", "stages.patches.size=16"],
        &["experiment.toml", "--check-repro", "patches"],
        &["cache", "gc", "--older-than", "0s", "--yes"],
    ] {
        let done = project.run(args);
        if !matches!(done.code, Some(2 | 3)) || !done.stderr.contains("Read-only file system") {
            harm(Harm::Ended, format!("{args:?}: {:?}: {}{}", done.code, done.stdout, done.stderr));
        }
    }
    tally.done(FAULT, true);
    disk.change("rw");
    if project.run(&["experiment.toml", "--force", "patches"]).ok().ran() != 1 {
        harm(Harm::Ended, "a forced stage did not run".into());
    }
}
