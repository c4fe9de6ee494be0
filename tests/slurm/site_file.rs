//! What the site file says of jobs.

use crate::common::Project;
use crate::on_cluster::{OnCluster, SITE, sweep};

#[test]
fn each_stage_that_computes_gets_a_gpu_of_its_own() {
    let script = "echo $CUDA_VISIBLE_DEVICES >> $RAN; sleep 3; echo > out";
    let stage = |name: &str| {
        format!(
            "[stages.{name}]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", {}, \"{name}\"]\noutputs = [\"out\"]\ngpu = true\n",
            serde_json::to_string(script).unwrap()
        )
    };
    let Some(here) = OnCluster::new(&format!("name = \"gpus\"\n{}{}{}", stage("a"), stage("b"), stage("c"))) else {
        return;
    };
    here.project.write("site.toml", format!("{SITE}gpu = \"gpu:1\"\n"));
    let mut variables: Vec<_> = here.variables().into();
    variables.push(("MATSSL_PRETENDED_GPUS".to_owned(), "2".to_owned()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    here.project.run_with(&variables, &["experiment.toml", "--executor", "slurm"]).ok();
    let ran = here.ran();
    assert_eq!(ran.len(), 3);
    assert!(ran.contains(&"0".to_owned()) && ran.contains(&"1".to_owned()), "two at a time, each its own: {ran:?}");
}

#[test]
fn work_in_progress_goes_to_the_nodes_own_folder() {
    // Another file system than that of the project, wherever there is one.
    let scratch = std::path::Path::new("/dev/shm").join(format!("matssl-scratch-{}", std::process::id()));
    let Some(here) = OnCluster::new(&sweep("scratch", 2, "pwd >> $RAN.folders")) else { return };
    here.project.write("site.toml", format!("{SITE}scratch = \"{}\"\n", scratch.display()));
    here.slurm(&[]).ok();
    let folders = std::fs::read_to_string(here.project.path("ran.folders")).unwrap();
    assert!(folders.lines().all(|folder| folder.starts_with(scratch.to_str().unwrap())), "{folders}");
    let local = Project::new(&sweep("scratch", 2, "pwd >> $RAN.folders"));
    let log = local.path("ran").to_string_lossy().into_owned();
    local.run_with(&[("RAN", &log)], &["experiment.toml"]).ok();
    assert_eq!(here.project.outputs(), local.outputs());
    let left = std::fs::read_dir(&scratch).unwrap().count();
    std::fs::remove_dir_all(&scratch).unwrap();
    assert_eq!(left, 0, "nothing is left there");
}

#[test]
fn wrong_settings_are_refused_before_anything_runs() {
    let Some(here) = OnCluster::new(&sweep("settings", 1, "true")) else { return };
    for (settings, expected) in [
        ("partitoin = \"x\"\n", "partitoin"),
        ("kinds.fintune = {}\n", "there is no kind of stage `fintune`"),
        ("time = \"1\"\n", "a number and a unit"),
    ] {
        here.project.write("site.toml", format!("[slurm]\n{settings}"));
        let done = here.slurm(&[]);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
    }
    let done = here.run(&["experiment.toml", "--max-jobs", "3"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    here.project.write("site.toml", SITE);
    let done = here.slurm(&["--device", "cuda"]);
    assert!(done.code == Some(2) && done.stderr.contains("gpu = \"gpu:1\""), "{}", done.stderr);
    assert!(here.ran().is_empty());
}
