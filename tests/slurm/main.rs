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
         matrix.inputs = [[\"some.*\"]]\n",
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
fn a_requeued_job_and_one_on_a_drained_node_go_on() {
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
fn a_refused_submission_is_one_error_in_slurms_words() {
    let Some(here) = OnCluster::new(&sweep("refused", 3, "true")) else { return };
    here.project.write("site.toml", format!("{SITE}partition = \"nowhere\"\n"));
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert_eq!(done.stderr.matches("error: ").count(), 2, "Slurm's own words hold one: {}", done.stderr);
    assert!(done.stderr.contains("invalid partition specified: nowhere"), "{}", done.stderr);
    assert!(here.ran().is_empty());
    here.project.write("site.toml", SITE);
    here.slurm(&[]).ok();
    assert_eq!(here.ran(), numbers(3));
}

#[test]
fn a_stage_that_needs_more_memory_than_it_asked_for_says_both() {
    let hungry = "head -c 400M /dev/zero | tail > /dev/null; sleep 30";
    let Some(here) = OnCluster::new(&sweep("hungry", 1, hungry)) else { return };
    let done = here.slurm(&[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("had asked for 64 MiB"), "{}", done.stderr);
}

#[test]
fn an_interrupted_run_leaves_its_jobs_or_cancels_them() {
    for (what, survive) in [("leave", true), ("cancel", false)] {
        let name = format!("interrupted-{what}");
        let Some(here) = OnCluster::new(&sweep(&name, 2, "sleep 4")) else { return };
        let mut run = here.start(&["--on-interrupt", what]);
        here.wait_for_job(&name, "RUNNING");
        // SAFETY: plain system call.
        unsafe { libc::kill(run.id() as i32, libc::SIGINT) };
        assert_eq!(run.wait().unwrap().code(), Some(130));
        let status = here.run(&["status", "experiment.toml"]).ok().stdout;
        assert_eq!(status.contains("Slurm: "), survive, "{status}");
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
    for _ in 0..2 {
        wait_until("that it runs", || here.wait_for_job("wall", "RUNNING") == job);
        std::thread::sleep(Duration::from_secs(2));
        here.cluster.call("scancel", &["--batch", "--signal=USR1", &job]).unwrap();
        wait_until("its second start", || {
            let text = here.cluster.call("squeue", &["-h", "-o", "%T"]).unwrap();
            text.contains("PENDING") || text.contains("RUNNING")
        });
    }
    let done = here.slurm(&["--only", "ssl@0"]).ok();
    assert!(done.stderr.contains("submitted by another run"), "{}", done.stderr);
    assert_eq!(here.cluster.jobs("wall").len(), 1, "one job did it all");
    let local = Project::new(&long);
    local.run(&["experiment.toml", "--only", "ssl@0"]).ok();
    assert_eq!(here.project.outputs(), local.outputs());
}
