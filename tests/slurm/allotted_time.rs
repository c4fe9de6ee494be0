//! Jobs that outlast their wall time.

use crate::common::{Project, TOY};
use crate::on_cluster::{OnCluster, SITE, sweep, wait_until};
use std::time::Duration;

/// Slurm tells a job some time before its wall time is over. The training writes a checkpoint and queues itself again; meanwhile
/// no run lives.
#[test]
fn a_training_that_outlasts_its_wall_time_goes_on_from_its_checkpoint_without_a_run() {
    let long = TOY.replace("\"toy\"", "\"wall\"").replace("epochs = 3\nbatch_size = 8", "epochs = 400\nbatch_size = 8");
    let Some(here) = OnCluster::new(&long) else { return };
    let mut run = here.start(&["--only", "ssl@0", "--on-interrupt", "leave"]);
    let job = here.wait_for_job("wall", "RUNNING");
    wait_until("a checkpoint", || here.project.names("cache/work").iter().any(|name| name.contains("/checkpoint/")));
    run.kill().unwrap();
    run.wait().unwrap();
    let starts = || {
        let files = here.project.names("cache/slurm").into_iter().filter(|name| name.ends_with(".jsonl"));
        files.map(|file| std::fs::read_to_string(file).unwrap().matches("\"runs\"").count()).sum::<usize>()
    };
    for round in 1..=2 {
        wait_until("that it runs", || starts() == round);
        std::thread::sleep(Duration::from_secs(2));
        wait_until("Slurm's answer", || here.cluster.call("scancel", &["--batch", "--signal=USR1", &job]).is_ok());
        wait_until("its next start", || starts() == round + 1);
    }
    let done = here.slurm(&["--only", "ssl@0"]).ok();
    assert!(done.stderr.contains("submitted by another run"), "{}", done.stderr);
    assert_eq!(here.cluster.jobs("wall").len(), 1, "one job did it all");
    let local = Project::new(&long);
    local.run(&["experiment.toml", "--only", "ssl@0"]).ok();
    assert_eq!(here.project.outputs(), local.outputs());
}

#[test]
fn a_stage_without_checkpoints_that_outlasts_its_wall_time_fails() {
    let Some(here) = OnCluster::new(&sweep("too-long", 1, "sleep 300")) else { return };
    here.project.write("site.toml", format!("{SITE}time = \"1 min\"\n"));
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("needed more than its wall time; raise `time`"), "{}", done.stderr);
}

/// Slurm ends jobs after a minute and tells them half a minute before: trainings go on in the next.
#[test]
#[ignore = "runs the quickstart twice, which takes minutes: cargo test --release --test slurm -- --ignored"]
fn the_quickstart_in_jobs_of_a_minute_leaves_the_bytes_of_a_local_run() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
    let quickstart = std::fs::read_to_string(file).unwrap();
    let Some(here) = OnCluster::new(&quickstart) else { return };
    let site = SITE.replace("poll = \"1 s\"", "poll = \"2 s\"\ntime = \"1 min\"");
    here.project.write("site.toml", site.replace("64 MiB", "500 MiB"));
    // As many at a time as most machines have cores.
    let done = here.slurm(&["--max-jobs", "2"]).ok();
    println!("{}", done.stderr);
    assert!(done.stderr.contains("its wall time is over"), "no job was long enough");
    let local = Project::new(&quickstart);
    local.run(&["experiment.toml"]).ok();
    assert_eq!(here.project.outputs(), local.outputs());
    assert_eq!(here.project.files("reports"), local.files("reports"));
}
