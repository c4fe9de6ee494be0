//! `kill -9` at any moment: no process survives, no unfinished stage counts, and the next run ends with the bytes of an
//! undisturbed one.

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
fn killed_runs_continue_where_they_were_and_end_with_the_same_bytes() {
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

/// A pretraining of each method that is killed several times ends with the bytes of an undisturbed one. This includes queues,
/// momentum encoders and the order of the data.
#[test]
fn a_killed_pretraining_of_each_method_ends_with_the_same_bytes() {
    let kills = rounds();
    let mut stream = matssl_run::random::Stream::new(std::process::id().into(), "kill methods", 0, 0);
    for method in matssl_run::ssl::names() {
        let project = || {
            let project = Project::new(TOY);
            let head = "head = { hidden = 32, output = 16 }";
            let queue = if ["mocov2", "densecl"].contains(&method) { ", queue_size = 24" } else { "" };
            let line = format!("method = {{ name = \"{method}\", {head}{queue} }}");
            project.edit(r#"method = { name = "matssl", temperature = 0.07 }"#, &line);
            // So long that each kill finds it under way.
            let epochs = format!("epochs = {}\nbatch_size = 8", 60 + 8 * kills);
            project.edit("epochs = 3\nbatch_size = 8", &epochs).edit("learning_rate = 0.05", "learning_rate = 0.005");
            project
        };
        let pretrain = ["experiment.toml", "--only", "ssl@0"];
        let calm = project();
        let started = Instant::now();
        calm.run(&pretrain).ok();
        let pause = started.elapsed().div_f64(3.0 * kills as f64);
        let restless = project();
        let mut struck = 0;
        for _ in 0..kills {
            let before = newest_checkpoint(&restless);
            let mut run = restless.start(&pretrain);
            // Until it has got further than the one before.
            while run.try_wait().unwrap().is_none() && newest_checkpoint(&restless) <= before {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(pause.mul_f64(stream.range(0.0, 1.0)));
            struck += usize::from(run.try_wait().unwrap().is_none());
            run.kill().unwrap();
            run.wait().unwrap();
            wait_until_gone(&restless);
        }
        assert!(struck > 0, "{method}: no kill struck a living run");
        restless.run(&pretrain).ok();
        assert_eq!(restless.outputs(), calm.outputs(), "{method} after {struck} kills");
        let records = restless.files("cache/records").into_iter();
        let records = records.map(|(_, bytes)| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap());
        let resumed: Vec<u64> = records.filter_map(|record| record["telemetry"]["resumed_epochs"].as_u64()).collect();
        if struck == kills {
            assert!(resumed.iter().all(|epochs| *epochs > 0) && !resumed.is_empty(), "{method}: {resumed:?}");
        }
        println!(
            "{method}: {struck} of {kills} kills struck a living run (the last attempt began after epoch {resumed:?}); same outputs"
        );
    }
}

/// (epochs, steps) of the newest checkpoint in the cache.
fn newest_checkpoint(project: &Project) -> Option<(u64, u64)> {
    let place = |name: &str| -> Option<(u64, u64)> {
        let place = name.rsplit('/').next()?.strip_prefix("epoch-")?.strip_suffix(".json")?;
        Some(match place.split_once("-step-") {
            Some((epochs, steps)) => (epochs.parse().ok()?, steps.parse().ok()?),
            None => (place.parse().ok()?, 0),
        })
    };
    project.names("cache/work").iter().filter_map(|name| place(name)).max()
}

/// A project whose pretraining takes longer than any test.
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

/// Waits until the training is further than `place`.
fn wait_for_progress(project: &Project, place: Option<(u64, u64)>) {
    let since = Instant::now();
    while newest_checkpoint(project) <= place {
        assert!(since.elapsed() < Duration::from_secs(60), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An endless project with one endless epoch: it has only the checkpoints that are asked for.
fn endless_epochs() -> Project {
    let project = endless();
    project.edit("\nsize = 64\n", "\nsize = 256\n").edit("\nsize = 32\n", "\nsize = 32\noverlap = 0.9\n");
    project
}

#[test]
fn interrupting_a_run_ends_its_workers_after_a_last_checkpoint() {
    for listened_to in [true, false] {
        let project = endless_epochs();
        let mut run = project.start(&["experiment.toml", "--only", "ssl@0", "--checkpoint-minutes", "10000"]);
        training_worker(&project);
        // SIGUSR1 to the run: a checkpoint, and on it goes. Again and again, for at first there is nothing to save.
        let since = Instant::now();
        while newest_checkpoint(&project).is_none() {
            assert!(since.elapsed() < Duration::from_secs(60), "no checkpoint came");
            send(libc::SIGUSR1, run.id() as i32);
            std::thread::sleep(Duration::from_millis(200));
        }
        if !listened_to {
            // As a terminal that was closed.
            drop(run.stderr.take());
        }
        // What was asked for last is written by then.
        std::thread::sleep(Duration::from_millis(700));
        let before = newest_checkpoint(&project);
        send(libc::SIGINT, run.id() as i32);
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        wait_until_gone(&project);
        assert!(newest_checkpoint(&project) > before, "no checkpoint after {before:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.contains("trainings write a last checkpoint"), listened_to, "{stderr}");
        assert!(!stderr.contains("error"), "{stderr}");
    }
}

#[test]
fn a_worker_that_is_asked_to_stop_reports_where_it_stopped() {
    let project = endless();
    let run = project.start(&["experiment.toml", "--only", "ssl@0", "--quiet"]);
    let worker = training_worker(&project);
    wait_for_progress(&project, None);
    send(libc::SIGUSR1, worker);
    std::thread::sleep(Duration::from_millis(100));
    send(libc::SIGTERM, worker);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("stopped by a signal after") && stderr.contains("resumes from there"), "{stderr}");
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
fn a_killed_worker_fails_its_stage_with_its_log_and_the_next_run_continues() {
    let project = endless();
    project.edit("epochs = 100000\nbatch_size = 8", "epochs = 100000\nbatch_size = 8\nretries = 0");
    let run = project.start(&["experiment.toml", "--only", "ssl@0", "--quiet"]);
    send(libc::SIGKILL, training_worker(&project));
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(3));
    project.edit("epochs = 100000\nbatch_size = 8", "epochs = 1\nbatch_size = 8");
    project.run(&["experiment.toml", "--only", "ssl@0"]).ok();
}
