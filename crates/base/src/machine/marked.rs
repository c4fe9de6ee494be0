//! Processes that are found by a mark in their environment. Children inherit it, so this also finds processes that left their
//! process group and whose parents are dead.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// The environment variable that holds marks. Each run adds its own, so that a run that a stage of another run starts is found by
/// both.
pub const MARK: &str = "MATSSL_RUN";

/// The value of [`MARK`] for a process that is to be found by each of `marks`.
pub fn mark(marks: &[&str]) -> String {
    let outer = std::env::var(MARK).unwrap_or_default();
    let all = outer.split_whitespace().chain(marks.iter().copied());
    all.collect::<Vec<_>>().join(" ")
}

/// Kills every process that has one of `marks`, until none is left, but for two seconds at most. Returns how many were killed; 0
/// if the system does not show environments (only Linux does).
pub fn kill_marked(marks: &[String]) -> usize {
    let since = Instant::now();
    let mut killed = BTreeSet::new();
    loop {
        let found = marked(marks);
        if found.is_empty() || since.elapsed() > Duration::from_secs(2) {
            return killed.len();
        }
        for process in &found {
            // SAFETY: plain system call. The process may be gone already, which is no error here.
            if unsafe { libc::kill(*process, libc::SIGKILL) } == 0 {
                killed.insert(*process);
            }
        }
        // A process that was just being started gets its environment only now.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every mark that a process of this machine has.
pub fn marks() -> BTreeSet<String> {
    processes().flat_map(marks_of).collect()
}

/// Processes that have one of `marks`, without this one.
fn marked(marks: &[String]) -> Vec<i32> {
    processes().filter(|&process| marks_of(process).iter().any(|mark| marks.contains(mark))).collect()
}

/// All processes but this one.
fn processes() -> impl Iterator<Item = i32> {
    let own = std::process::id() as i32;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(move |&process| process != own)
}

fn marks_of(process: i32) -> Vec<String> {
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let variables = environment.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
    let marks = variables.filter_map(|line| line.strip_prefix(MARK)?.strip_prefix('='));
    marks.flat_map(|marks| marks.split(' ')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_that_left_its_group_is_killed_and_others_are_left_alone() {
        let run = format!("test-{}", std::process::id());
        // A daemon: a session of its own, its parent dead.
        let daemon = |run: &str| {
            let script = "setsid sleep 100 > /dev/null 2>&1 & echo $!";
            let output = Command::new("sh").args(["-c", script]).env(MARK, format!("outer {run}")).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<i32>().unwrap()
        };
        let (ours, other) = (daemon(&run), daemon(&format!("{run}0")));
        std::thread::sleep(Duration::from_millis(20));
        let (run, longer) = ([run.clone()], [format!("{run}0")]);
        assert_eq!(marked(&run), [ours]);
        assert_eq!(kill_marked(&run), 1);
        assert!(marked(&run).is_empty() && marked(&longer) == [other]);
        kill_marked(&longer);
    }
}
