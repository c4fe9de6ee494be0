//! What can happen to jobs, and what follows.

use crate::cluster::Cluster;
use crate::on_cluster::{OnCluster, SITE, numbers, sweep, wait_until};
use std::time::Duration;

#[test]
fn a_job_that_is_killed_runs_again_and_one_that_is_cancelled_fails_with_its_number() {
    let Some(here) = OnCluster::new(&sweep("struck", 1, "[ -e $RAN.again ] || { touch $RAN.again; kill -9 $PPID; }"))
    else {
        return;
    };
    let done = here.slurm(&[]).ok();
    assert!(done.stderr.contains("ended without a result"), "{}", done.stderr);
    assert_eq!(here.ran(), ["000", "000"]);

    let here = OnCluster::new(&sweep("cancelled", 1, "sleep 100")).unwrap();
    let run = here.start(&[]);
    let job = here.wait_for_job("cancelled", "RUNNING");
    here.cluster.call("scancel", &[&job]).unwrap();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("Slurm job {job} was cancelled in Slurm, not by this run")), "{said}");
}

#[test]
fn a_requeued_job_runs_again() {
    let Some(here) = OnCluster::new(&sweep("requeued", 1, "[ -e $RAN.go ] || sleep 100")) else { return };
    let run = here.start(&[]);
    let job = here.wait_for_job("requeued", "RUNNING");
    wait_until("the stage's start", || !here.ran().is_empty());
    here.project.write("ran.go", "");
    here.cluster.call("scontrol", &["requeue", &job]).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(here.ran(), ["000", "000"]);
}

#[test]
fn jobs_on_a_drained_node_wait_until_it_is_back() {
    let Some(mut here) = OnCluster::new(&sweep("drained", 2, "true")) else { return };
    here.cluster = Box::leak(Box::new(Cluster::start("drained")));
    let node = format!("nodename={}", here.cluster.host());
    here.cluster.call("scontrol", &["update", &node, "state=drain", "reason=test"]).unwrap();
    let run = here.start(&[]);
    here.wait_for_job("drained", "PENDING");
    std::thread::sleep(Duration::from_secs(5));
    assert!(here.ran().is_empty());
    let status = here.run(&["status", "experiment.toml"]).ok().stdout;
    assert!(status.contains("Slurm: 0 of 2 jobs run, the others wait"), "{status}");
    here.cluster.call("scontrol", &["update", &node, "state=resume"]).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(here.ran(), numbers(2));
}

#[test]
fn a_refused_submission_is_one_error_in_slurms_words() {
    let Some(here) = OnCluster::new(&sweep("refused", 3, "true")) else { return };
    here.project.write("site.toml", format!("{SITE}partition = \"nowhere\"\n"));
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert_eq!(done.stderr.matches("error: ").count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("invalid partition specified: nowhere"), "{}", done.stderr);
    assert!(here.ran().is_empty());
    here.project.write("site.toml", SITE);
    here.slurm(&[]).ok();
    assert_eq!(here.ran(), numbers(3));
}

#[test]
fn a_stage_that_needs_more_memory_than_it_asked_for_says_both() {
    // `tail` holds what has no end of line until its input ends.
    let hungry = "(head -c 300M /dev/zero; sleep 30) | tail > /dev/null";
    let Some(here) = OnCluster::new(&sweep("hungry", 1, hungry)) else { return };
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("had asked for 64 MiB"), "{}", done.stderr);
    assert_eq!(here.ran(), ["000"], "the same would happen again");
}

/// Every command fails while the controller is away; jobs go on, and so does the run.
#[test]
fn a_controller_that_does_not_answer_for_a_while_is_waited_for() {
    let Some(mut here) = OnCluster::new(&sweep("silent", 2, "sleep 6")) else { return };
    // One of its own: the other tests need theirs.
    here.cluster = Box::leak(Box::new(Cluster::start("silent")));
    let run = here.start(&[]);
    here.wait_for_job("silent", "RUNNING");
    here.cluster.restart_controller(Duration::from_secs(4));
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(here.ran(), numbers(2));
}

/// A job of higher priority takes the node: by the partition's setting ours goes back into the queue, or is cancelled.
#[test]
fn a_preempted_job_runs_again_and_that_is_no_failure() {
    let Some(mut here) = OnCluster::new(&struck_once("preempted-main")) else { return };
    let own: &Cluster = Box::leak(Box::new(Cluster::start("preempted")));
    for partition in ["main", "cheap"] {
        let name = format!("preempted-{partition}");
        if partition == "cheap" {
            here = OnCluster::new(&struck_once(&name)).unwrap();
            here.project.write("site.toml", format!("{SITE}partition = \"cheap\"\n"));
        }
        here.cluster = own;
        let run = here.start(&[]);
        here.wait_for_job(&name, "RUNNING");
        wait_until("the stage's start", || !here.ran().is_empty());
        here.project.write("ran.go", "");
        let urgent = ["--partition=urgent", "--exclusive", "--mem=64M", "--output=/dev/null", "--wrap=sleep 2"];
        own.call("sbatch", &urgent).unwrap();
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(here.ran(), ["000", "000"], "{said}");
        let resubmitted = said.contains("its node failed or was given to another job");
        assert_eq!(resubmitted, partition == "cheap", "{said}");
    }
}

#[test]
fn a_job_whose_node_fails_runs_again_and_that_is_no_failure() {
    let Some(mut here) = OnCluster::new(&struck_once("node")) else { return };
    here.cluster = Box::leak(Box::new(Cluster::start("node")));
    let run = here.start(&[]);
    here.wait_for_job("node", "RUNNING");
    wait_until("the stage's start", || !here.ran().is_empty());
    here.project.write("ran.go", "");
    here.cluster.restart_node();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(here.ran(), ["000", "000"], "{said}");
}

/// A stage that takes long unless the file `ran.go` is there when it starts, and may not fail once.
fn struck_once(name: &str) -> String {
    let sweep = sweep(name, 1, "[ -e $RAN.go ] || sleep 100");
    sweep.replace("outputs = [\"out\"]", "outputs = [\"out\"]\nretries = 0")
}
