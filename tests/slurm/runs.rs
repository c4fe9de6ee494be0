//! Runs that are killed, interrupted, stopped, or two at once: their jobs go on, and each stage runs once.

use crate::on_cluster::{OnCluster, numbers, signal, sweep, wait_until};
use std::io::Write as _;
use std::time::Duration;

#[test]
fn a_killed_run_finds_its_jobs_again_and_nothing_runs_twice() {
    let Some(here) = OnCluster::new(&sweep("killed", 40, "sleep 1.5")) else { return };
    let mut stream = matssl_run::random::Stream::new(std::process::id().into(), "slurm", 0, 0);
    let mut struck = 0;
    for _ in 0..10 {
        let mut run = here.start(&[]);
        std::thread::sleep(Duration::from_secs_f64(stream.range(0.05, 1.5)));
        struck += usize::from(run.try_wait().unwrap().is_none());
        run.kill().unwrap();
        run.wait().unwrap();
    }
    here.slurm(&[]).ok();
    assert_eq!(here.ran(), numbers(40), "each stage ran once");
    println!("{struck} of 10 kills struck a living run");
}

#[test]
fn two_runs_at_once_share_jobs() {
    let Some(here) = OnCluster::new(&sweep("shared", 20, "sleep 1")) else { return };
    let runs = [here.start(&[]), here.start(&[])];
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(here.ran(), numbers(20), "each stage ran once");
}

#[test]
fn an_interrupted_run_leaves_its_jobs_or_cancels_them() {
    for (what, survive) in [("leave", true), ("cancel", false)] {
        let name = format!("interrupted-{what}");
        let Some(here) = OnCluster::new(&sweep(&name, 2, "sleep 4")) else { return };
        let mut run = here.start(&["--on-interrupt", what]);
        here.wait_for_job(&name, "RUNNING");
        wait_until("the start of both", || here.ran().len() == 2);
        signal(&run, libc::SIGINT);
        assert_eq!(run.wait().unwrap().code(), Some(130));
        check_survival(&here, survive);
    }
}

#[test]
fn at_a_terminal_ctrl_c_asks_what_becomes_of_the_jobs() {
    for (answer, survive) in [("l", true), ("Cancel", false)] {
        let name = format!("asked-{answer}");
        let Some(here) = OnCluster::new(&sweep(&name, 2, "sleep 6")) else { return };
        let (run, mut terminal) = here.start_at_terminal();
        here.wait_for_job(&name, "RUNNING");
        wait_until("the start of both", || here.ran().len() == 2);
        signal(&run, libc::SIGINT);
        writeln!(terminal, "{answer}").unwrap();
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("2 jobs in Slurm: [l]eave them there or [c]ancel them? "), "{said}");
        check_survival(&here, survive);
    }
}

/// Whether two jobs went on after their run had ended.
fn check_survival(here: &OnCluster, survive: bool) {
    let status = || here.run(&["status", "experiment.toml"]).ok().stdout;
    match survive {
        true => assert!(status().contains("Slurm: "), "{}", status()),
        false => wait_until("the end of the jobs", || !status().contains("Slurm: ")),
    }
    here.slurm(&[]).ok();
    assert_eq!(here.ran().len(), if survive { 2 } else { 4 });
}

/// A run that could not look for a while finds neither the jobs nor their folder, because another run has seen to them.
#[test]
fn a_run_that_slept_finds_the_records_of_jobs_that_another_has_taken_up() {
    let Some(here) = OnCluster::new(&sweep("slept", 2, "sleep 3")) else { return };
    let asleep = here.start(&[]);
    wait_until("the start of both", || here.ran().len() == 2);
    signal(&asleep, libc::SIGSTOP);
    here.slurm(&[]).ok();
    signal(&asleep, libc::SIGCONT);
    let output = asleep.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(here.ran(), numbers(2));
    assert_eq!(here.cluster.jobs("slept").len(), 3, "two, and the one that reads them");
}

#[test]
fn cancel_ends_the_jobs_of_an_experiment() {
    let Some(here) = OnCluster::new(&sweep("cancel", 3, "sleep 100")) else { return };
    let mut run = here.start(&["--on-interrupt", "leave"]);
    here.wait_for_job("cancel", "RUNNING");
    run.kill().unwrap();
    run.wait().unwrap();
    let done = here.run(&["cancel", "experiment.toml"]).ok();
    assert_eq!(done.stdout, "cancelled 3 jobs of cancel\n");
    wait_until("the end of all jobs", || here.cluster.jobs("cancel").iter().all(|(.., state)| state == "CANCELLED"));
    assert_eq!(here.run(&["cancel", "experiment.toml"]).ok().stdout, "no jobs of cancel wait or run\n");
}

#[test]
fn a_failure_takes_back_jobs_that_have_not_begun() {
    // Job 000 fails at once; the others fill the node and the queue.
    let more = "[ $0 != 000 ] || exit 7; sleep 3";
    let Some(here) = OnCluster::new(&sweep("failing", 30, more)) else { return };
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("some.n000: `sh` ended with exit code 7"), "{}", done.stderr);
    assert!(here.ran().len() < 30, "{} of 30 ran", here.ran().len());
    here.project.edit("exit 7", "true");
    here.slurm(&[]).ok();
}
