//! `--executor slurm` on a real Slurm of one node.

mod cluster;
#[path = "../common/mod.rs"]
mod common;

use cluster::{Cluster, cluster};
use common::{Done, Project, TOY};
use std::process::Child;
use std::time::{Duration, Instant};

/// A site file for tests: short waits, since the file system is a local one.
const SITE: &str = "[slurm]\nvisibility = \"2 s\"\npoll = \"1 s\"\nmemory = \"64 MiB\"\n";

/// An experiment that runs as jobs.
struct OnCluster {
    cluster: &'static Cluster,
    project: Project,
}

impl OnCluster {
    fn new(experiment: &str) -> Option<Self> {
        let cluster = cluster()?;
        let project = Project::new(experiment);
        project.write("site.toml", SITE);
        Some(OnCluster { cluster, project })
    }

    fn variables(&self) -> [(String, String); 3] {
        let (name, value) = self.cluster.variable();
        let site = self.project.path("site.toml").to_string_lossy().into_owned();
        let log = self.project.path("ran").to_string_lossy().into_owned();
        [(name.to_owned(), value), ("MATSSL_CONFIG".to_owned(), site), ("RAN".to_owned(), log)]
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.project.run_with(&variables, arguments)
    }

    fn slurm(&self, arguments: &[&str]) -> Done {
        self.run(&[&["experiment.toml", "--executor", "slurm"], arguments].concat())
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.project.start_with(&variables, &[&["experiment.toml", "--executor", "slurm"], arguments].concat())
    }

    /// Names that stages have written to the file `ran`, sorted: each time that one ran.
    fn ran(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.project.path("ran")).unwrap_or_default();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Waits until a job of `experiment` is in `state`, and returns `123_4`.
    fn wait_for_job(&self, experiment: &str, state: &str) -> String {
        let mut found = None;
        wait_until(&format!("a job of {experiment} that is {state}"), || {
            let jobs = self.cluster.jobs(experiment);
            found = jobs.into_iter().find(|(.., of)| of == state).map(|(job, task, _)| format!("{job}_{task}"));
            found.is_some()
        });
        found.unwrap()
    }
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(120), "{what}: not within 120 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `count` programs that write their number to the file that `RAN` names, and then `more`.
fn sweep(name: &str, count: usize, more: &str) -> String {
    let numbers: Vec<String> = (0..count).map(|number| format!("\"{number:03}\"")).collect();
    let script = serde_json::to_string(&format!("echo $0 >> $RAN; {more}; echo $0 > out")).unwrap();
    let commands: Vec<String> = numbers
        .iter()
        .map(|number| format!("n{} = [\"sh\", \"-c\", {script}, {number}]", number.trim_matches('"')))
        .collect();
    format!(
        "name = \"{name}\"\n[stages.some]\nkind = \"command\"\noutputs = [\"out\"]\nmatrix.command = {{ {} }}\n\n\
         [stages.all]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"cat inputs/*/out > all\"]\noutputs = [\"all\"]\n\
         inputs = [\"some.*\"]\n",
        commands.join(", ")
    )
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:03}")).collect()
}

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

#[test]
fn an_interrupted_run_leaves_its_jobs_or_cancels_them() {
    for (what, survive) in [("leave", true), ("cancel", false)] {
        let name = format!("interrupted-{what}");
        let Some(here) = OnCluster::new(&sweep(&name, 2, "sleep 4")) else { return };
        let mut run = here.start(&["--on-interrupt", what]);
        here.wait_for_job(&name, "RUNNING");
        wait_until("the start of both", || here.ran().len() == 2);
        // SAFETY: plain system call.
        unsafe { libc::kill(run.id() as i32, libc::SIGINT) };
        assert_eq!(run.wait().unwrap().code(), Some(130));
        let status = || here.run(&["status", "experiment.toml"]).ok().stdout;
        match survive {
            true => assert!(status().contains("Slurm: "), "{}", status()),
            false => wait_until("the end of the jobs", || !status().contains("Slurm: ")),
        }
        here.slurm(&[]).ok();
        assert_eq!(here.ran().len(), if survive { 2 } else { 4 });
    }
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

#[test]
fn a_stage_without_checkpoints_that_outlasts_its_wall_time_fails() {
    let Some(here) = OnCluster::new(&sweep("too-long", 1, "sleep 300")) else { return };
    here.project.write("site.toml", format!("{SITE}time = \"1 min\"\n"));
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("needed more than its wall time; raise `time`"), "{}", done.stderr);
}
