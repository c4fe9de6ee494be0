//! An experiment that runs as jobs of the tests' Slurm.

use crate::cluster::{Cluster, cluster};
use crate::common::{Done, Project};
use std::fs::File;
use std::process::Child;
use std::time::{Duration, Instant};

/// A site file for tests: short waits, since the file system is a local one.
pub(crate) const SITE: &str = "[slurm]\nvisibility = \"2 s\"\npoll = \"1 s\"\nmemory = \"64 MiB\"\n";

/// An experiment that runs as jobs.
pub(crate) struct OnCluster {
    pub(crate) cluster: &'static Cluster,
    pub(crate) project: Project,
}

impl OnCluster {
    pub(crate) fn new(experiment: &str) -> Option<Self> {
        let cluster = cluster()?;
        let project = Project::new(experiment);
        project.write("site.toml", SITE);
        Some(OnCluster { cluster, project })
    }

    pub(crate) fn variables(&self) -> [(String, String); 3] {
        let (name, value) = self.cluster.variable();
        let site = self.project.path("site.toml").to_string_lossy().into_owned();
        let log = self.project.path("ran").to_string_lossy().into_owned();
        [(name.to_owned(), value), ("MATSSL_CONFIG".to_owned(), site), ("RAN".to_owned(), log)]
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.project.run_with(&variables, arguments)
    }

    pub(crate) fn slurm(&self, arguments: &[&str]) -> Done {
        self.run(&[&["experiment.toml", "--executor", "slurm"], arguments].concat())
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.project.start_with(&variables, &[&["experiment.toml", "--executor", "slurm"], arguments].concat())
    }

    /// With standard input from a terminal, whose other end comes second.
    pub(crate) fn start_at_terminal(&self) -> (Child, File) {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.project.start_at_terminal(&variables, &["experiment.toml", "--executor", "slurm"])
    }

    /// Names that stages have written to the file `ran`, sorted: each time that one ran.
    pub(crate) fn ran(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.project.path("ran")).unwrap_or_default();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Waits until a job of `experiment` is in `state`, and returns `123_4`.
    pub(crate) fn wait_for_job(&self, experiment: &str, state: &str) -> String {
        let mut found = None;
        wait_until(&format!("a job of {experiment} that is {state}"), || {
            let jobs = self.cluster.jobs(experiment);
            found = jobs.into_iter().find(|(.., of)| of == state).map(|(job, task, _)| format!("{job}_{task}"));
            found.is_some()
        });
        found.unwrap()
    }
}

pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(120), "{what}: not within 120 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn signal(run: &Child, signal: i32) {
    // SAFETY: plain system call.
    assert_eq!(unsafe { libc::kill(run.id() as i32, signal) }, 0);
}

/// `count` programs that write their number to the file that `RAN` names, and then `more`.
pub(crate) fn sweep(name: &str, count: usize, more: &str) -> String {
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

pub(crate) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:03}")).collect()
}
