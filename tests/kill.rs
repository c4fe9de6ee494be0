//! `kill -9` at any moment: no process survives, nothing half done counts, and the next run ends where an undisturbed
//! one would.

mod common;
use common::{Project, TOY};
use std::time::{Duration, Instant};

/// Rounds of two kills; `MATSSL_KILLS=20 cargo test --release --test kill -- --nocapture` for the long form.
fn rounds() -> usize {
    std::env::var("MATSSL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2)
}

fn wait_until_gone(project: &Project) {
    let since = Instant::now();
    loop {
        let left = project.processes();
        if left.is_empty() {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(5), "processes outlived the run: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_runs_go_on_where_they_were_and_end_the_same() {
    let calm = Project::new(TOY);
    let started = Instant::now();
    calm.run(&["experiment.toml"]).ok();
    let whole = started.elapsed();

    let mut stream = matssl_run::random::Stream::new(std::process::id().into(), "kill", 0, 0);
    let (mut struck, mut kept) = (0, Vec::new());
    for _ in 0..rounds() {
        let restless = Project::new(TOY);
        let mut finished = 0;
        for _ in 0..2 {
            let mut run = restless.start(&["experiment.toml"]);
            std::thread::sleep(whole.mul_f64(stream.range(0.0, 0.8)));
            struck += usize::from(run.try_wait().unwrap().is_none());
            run.kill().unwrap();
            run.wait().unwrap();
            wait_until_gone(&restless);
            let now = restless.files("cache/records").len();
            assert!(now >= finished, "a finished stage was lost");
            finished = now;
        }
        let last = restless.run(&["experiment.toml"]).ok();
        assert_eq!(last.ran() + finished, calm.files("cache/records").len(), "a finished stage ran again");
        assert_eq!(restless.outputs(), calm.outputs());
        assert_eq!(restless.files("reports"), calm.files("reports"));
        kept.push(finished);
    }
    println!("{struck} kills struck a living run; stages already finished by then: {kept:?}");
}

/// Every method's pretraining, `kill -9`ed at random moments until it has been as often as asked, ends with the bytes of an
/// undisturbed one: queues, momentum encoders, order of the data and all.
#[test]
fn a_pretraining_that_was_killed_ends_the_same_by_every_method() {
    let kills = rounds();
    let mut stream = matssl_run::random::Stream::new(std::process::id().into(), "kill methods", 0, 0);
    for method in matssl_run::ssl::names() {
        let project = || {
            let project = Project::new(TOY);
            let head = "head = { hidden = 32, output = 16 }";
            let queue = if ["mocov2", "densecl"].contains(&method) { ", queue_size = 24" } else { "" };
            let line = format!("method = {{ name = \"{method}\", {head}{queue} }}");
            project.edit(r#"method = { name = "matssl", temperature = 0.07 }"#, &line);
            project.edit("epochs = 3\nbatch_size = 8", "epochs = 60\nbatch_size = 8");
            project.edit("learning_rate = 0.05", "learning_rate = 0.005");
            project
        };
        let pretrain = ["experiment.toml", "--only", "ssl@0"];
        let calm = project();
        let started = Instant::now();
        calm.run(&pretrain).ok();
        let whole = started.elapsed();
        let restless = project();
        let mut struck = 0;
        for _ in 0..kills {
            let mut run = restless.start(&pretrain);
            std::thread::sleep(whole.mul_f64(stream.range(0.1, 0.7)));
            struck += usize::from(run.try_wait().unwrap().is_none());
            run.kill().unwrap();
            run.wait().unwrap();
            wait_until_gone(&restless);
        }
        let resumed = restless.start(&pretrain).wait().unwrap();
        assert!(resumed.success(), "{method}");
        assert_eq!(restless.outputs(), calm.outputs(), "{method} after {struck} kills");
        println!("{method}: {struck} of {kills} kills struck a living run, and the outputs are the same");
    }
}

/// A project whose pretraining takes longer than any test waits.
fn endless() -> Project {
    let project = Project::new(TOY);
    project.edit("epochs = 3\nbatch_size = 8", "epochs = 100000\nbatch_size = 8");
    project
}

/// The process that trains `ssl@0`, once it is there.
fn training_worker(project: &Project) -> i32 {
    let since = Instant::now();
    loop {
        assert!(since.elapsed() < Duration::from_secs(60), "no training worker appeared");
        let ready = project.files("cache/runs").iter().any(|(name, _)| name.ends_with("ssl@0.log"));
        let workers = project.processes();
        match workers.iter().find(|line| line.contains(" worker")) {
            Some(line) if ready => return line.split(':').next().unwrap().parse().unwrap(),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn send(signal: i32, process: i32) {
    // SAFETY: plain system call on a process of this test's project, which has not been waited for.
    unsafe { libc::kill(process, signal) };
}

/// Checkpoints in the cache.
fn checkpoints(project: &Project) -> usize {
    project
        .files("cache/work")
        .iter()
        .filter(|(name, _)| name.contains("/checkpoint/") && name.ends_with(".json"))
        .count()
}

/// Waits until an epoch is done, so that the training is under way.
fn wait_for_an_epoch(project: &Project) {
    let since = Instant::now();
    while checkpoints(project) == 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "no epoch was done");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn interrupting_a_run_ends_its_workers_after_a_last_checkpoint() {
    let project = endless();
    let run = project.start(&["experiment.toml", "--only", "ssl@0"]);
    training_worker(&project);
    wait_for_an_epoch(&project);
    send(libc::SIGINT, run.id() as i32);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("trainings write a last checkpoint"), "{stderr}");
    wait_until_gone(&project);
    assert!(checkpoints(&project) > 0);
}

#[test]
fn a_worker_that_is_asked_to_stop_says_where_it_did() {
    let project = endless();
    let run = project.start(&["experiment.toml", "--only", "ssl@0", "--quiet"]);
    let worker = training_worker(&project);
    wait_for_an_epoch(&project);
    send(libc::SIGUSR1, worker);
    std::thread::sleep(Duration::from_millis(100));
    send(libc::SIGTERM, worker);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("stopped by a signal after") && stderr.contains("goes on from there"), "{stderr}");
}

#[test]
fn a_run_that_was_started_to_survive_its_terminal_does() {
    let project = endless();
    let mut run = project.start_ignoring(libc::SIGHUP, &["experiment.toml", "--only", "ssl@0"]);
    training_worker(&project);
    send(libc::SIGHUP, run.id() as i32);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(run.try_wait().unwrap(), None, "still running");
    send(libc::SIGTERM, run.id() as i32);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    wait_until_gone(&project);
}

#[test]
fn a_killed_worker_fails_its_stage_with_its_log_and_the_next_run_goes_on() {
    let project = endless();
    let run = project.start(&["experiment.toml", "--only", "ssl@0", "--quiet"]);
    send(libc::SIGKILL, training_worker(&project));
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(3));
    project.edit("epochs = 100000\nbatch_size = 8", "epochs = 1\nbatch_size = 8");
    project.run(&["experiment.toml", "--only", "ssl@0"]).ok();
}
