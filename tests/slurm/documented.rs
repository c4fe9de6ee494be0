//! The page "From laptop to cluster", and scripts to submit by hand.

use crate::common::TOY;
use crate::on_cluster::{OnCluster, numbers, sweep, wait_until};
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[test]
fn scripts_to_submit_by_hand_run_the_experiment() {
    let Some(here) = OnCluster::new(&sweep("by-hand", 3, "true")) else { return };
    let done = here.run(&["plan", "experiment.toml", "--slurm", "scripts"]).ok();
    assert!(done.stdout.starts_with("3 scripts in "), "{}", done.stdout);
    let submit = here.project.path("scripts/submit.sh");
    let variables = here.variables();
    let output = std::process::Command::new("bash").arg(&submit).envs(variables).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("the last record", || here.project.outputs().len() == 4);
    assert_eq!(here.ran(), numbers(3));
}

/// The page's blocks of commands, with folders and experiment of this test.
#[test]
fn the_pages_commands_work() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cluster.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).filter_map(|block| block.split_once("```")).map(|(block, _)| block).collect();
    assert_eq!(blocks.len(), 2);
    for (block, runs) in [(blocks[0], "the run"), (blocks[1], "the scripts")] {
        let Some(here) = OnCluster::new(&TOY.replace("\"toy\"", "\"page\"")) else { return };
        let shared = here.project.path("shared");
        std::fs::create_dir(&shared).unwrap();
        let block = block.replace("/shared/steel", &shared.to_string_lossy());
        let block = block.replace("experiments/table4.toml", "experiment.toml");
        let output = as_a_user(&here, &block);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{runs}: {said}");
        let records = || std::fs::read_dir(shared.join("cache/records")).into_iter().flatten().count();
        wait_until(&format!("all records of {runs}: {said}"), || records() == 15);
    }
}

/// Runs commands in the project's folder, which is the home, too.
fn as_a_user(here: &OnCluster, commands: &str) -> Output {
    let home = here.project.path(".");
    let program = Path::new(env!("CARGO_BIN_EXE_matssl-run")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let (name, value) = here.cluster.variable();
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", commands]).current_dir(&home).env("HOME", &home).env("PATH", path).env(name, value);
    for name in ["MATSSL_CONFIG", "MATSSL_REMOTE", "MATSSL_CACHE", "XDG_CONFIG_HOME"] {
        shell.env_remove(name);
    }
    // Its jobs ask for GPUs, which this cluster only pretends to have.
    shell.env("MATSSL_PRETENDED_GPUS", "2").stdin(Stdio::null()).output().unwrap()
}
