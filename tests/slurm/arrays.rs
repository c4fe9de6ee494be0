//! What becomes of an experiment's stages: arrays of jobs, and the same bytes as at home.

use crate::common::{Project, TOY};
use crate::on_cluster::{OnCluster, numbers, sweep};
use std::time::Duration;

#[test]
fn an_experiment_as_jobs_leaves_the_bytes_of_a_local_run() {
    let Some(here) = OnCluster::new(&TOY.replace("\"toy\"", "\"bytes\"")) else { return };
    let local = Project::new(&TOY.replace("\"toy\"", "\"bytes\""));
    local.run(&["experiment.toml"]).ok();
    let done = here.slurm(&[]).ok();
    assert!(
        done.stderr.contains("Slurm job") && done.stderr.contains(&format!("runs on {}", here.cluster.host())),
        "{}",
        done.stderr
    );
    assert_eq!(here.project.outputs(), local.outputs());
    assert_eq!(here.project.files("reports"), local.files("reports"));
    // Two pretrainings, four trainings, four evaluations: seeds of one kind share an array where they start together.
    let jobs = here.cluster.jobs("bytes");
    assert_eq!(jobs.len(), 10, "{jobs:?}");
    assert_eq!(here.slurm(&[]).ok().ran(), 0);
    assert_eq!(here.cluster.jobs("bytes").len(), 10, "a cached experiment submits nothing");
}

#[test]
fn a_hundred_stages_share_an_array() {
    let Some(here) = OnCluster::new(&sweep("hundred", 100, "true")) else { return };
    let done = here.slurm(&[]).ok();
    assert_eq!(done.ran(), 101);
    assert_eq!(here.ran(), numbers(100));
    let mut arrays: Vec<String> = here.cluster.jobs("hundred").into_iter().map(|(job, ..)| job).collect();
    arrays.sort();
    arrays.dedup();
    assert_eq!(arrays.len(), 2, "one for the hundred, one for the stage that reads them");
}

#[test]
fn no_more_jobs_are_in_the_queue_than_allowed() {
    let Some(here) = OnCluster::new(&sweep("few", 6, "sleep 0.5; squeue -h -r -n x > /dev/null")) else { return };
    let run = here.start(&["--max-jobs", "2"]);
    let mut most = 0;
    let mut run = run;
    while run.try_wait().unwrap().is_none() {
        let live =
            here.cluster.jobs("few").iter().filter(|(.., state)| state == "PENDING" || state == "RUNNING").count();
        most = most.max(live);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(run.wait().unwrap().success() && (1..=2).contains(&most), "{most} at a time");
    assert_eq!(here.ran(), numbers(6));
}
