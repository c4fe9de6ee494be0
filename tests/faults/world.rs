//! A project that is struck, beside one that is left in peace.

use crate::common::{Done, Project};
use crate::pipeline::Pipeline;
use crate::processes::{Ended, wait};
use crate::tally::{Harm, Tally};
use matssl_run::cache::{Record, Store};
use matssl_run::random::Stream;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

/// Path and hash of each file.
type Files = Vec<(String, String)>;

pub(crate) struct World<'a> {
    pub(crate) project: Project,
    calm: Project,
    /// By key: what the undisturbed run left, for all data there ever was.
    truth: BTreeMap<String, Files>,
    /// Keys of the data that is there now, by stage.
    pub(crate) current: BTreeMap<String, String>,
    /// Keys that have been seen finished, and whose files nobody has damaged since.
    finished: BTreeSet<String>,
    /// What the undisturbed run took.
    pub(crate) whole: Duration,
    tally: &'a Tally,
    pub(crate) stream: Stream,
    pub(crate) fault: &'static str,
    pub(crate) data: Vec<String>,
}

impl<'a> World<'a> {
    /// Runs the pipeline undisturbed.
    pub(crate) fn new(pipeline: &Pipeline, stream: Stream, tally: &'a Tally) -> Self {
        let (project, calm) = (pipeline.project(), pipeline.project());
        let mut world = World {
            project,
            calm,
            truth: BTreeMap::new(),
            current: BTreeMap::new(),
            finished: BTreeSet::new(),
            whole: Duration::ZERO,
            tally,
            stream,
            fault: "",
            data: pipeline.data().map(str::to_owned).collect(),
        };
        let started = Instant::now();
        world.be_calm();
        world.whole = started.elapsed();
        world
    }

    /// Runs the undisturbed project with the data that is there now.
    pub(crate) fn be_calm(&mut self) {
        self.calm.run(&["experiment.toml"]).ok();
        let plan: serde_json::Value =
            serde_json::from_str(&self.calm.run(&["plan", "experiment.toml", "--json"]).ok().stdout).unwrap();
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let stages = plan["stages"].as_array().unwrap();
        self.current = stages.iter().map(|stage| (word(&stage["stage"]), word(&stage["key"]))).collect();
        self.truth = records(&self.calm).into_iter().map(|(key, record)| (key, files(&record))).collect();
    }

    /// Writes a data file in both projects.
    pub(crate) fn write(&mut self, name: &str, bytes: &[u8]) {
        for project in [&self.project, &self.calm] {
            fs::write(project.path(name), bytes).unwrap();
        }
    }

    pub(crate) fn done(&self, struck: bool) {
        self.tally.done(self.fault, struck);
    }

    pub(crate) fn harm(&self, harm: Harm, what: String) {
        self.tally.harm(self.fault, harm, what);
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.project.path("cache")
    }

    /// Current stages that are not finished.
    pub(crate) fn missing(&self) -> usize {
        self.current.values().filter(|key| !self.finished.contains(*key)).count()
    }

    /// Takes the records of some finished stages away, so that there is something to do; of those that `which` names, all.
    pub(crate) fn undo(&mut self, share: f64, which: &[&str]) {
        let keys: Vec<(String, String)> = self.current.clone().into_iter().collect();
        for (stage, key) in keys {
            if self.finished.contains(&key)
                && (which.contains(&stage.split('@').next().unwrap_or_default()) || self.stream.chance(share))
            {
                fs::remove_file(self.cache().join(format!("records/{key}.json"))).unwrap();
                self.finished.remove(&key);
            }
        }
    }

    /// Keys of the records that name an object.
    pub(crate) fn named_by(&self, digest: &str) -> Vec<String> {
        let named = |(_, files): &(&String, &Files)| files.iter().any(|(_, of)| of == digest);
        self.truth.iter().filter(named).map(|(key, _)| key.clone()).collect()
    }

    /// Names of the records of current stages, or of the objects that these name.
    pub(crate) fn current_files(&self, folder: &str) -> BTreeSet<String> {
        match folder {
            "records" => self.current.values().cloned().collect(),
            _ => self.current.values().flat_map(|key| &self.truth[key]).map(|(_, digest)| digest.clone()).collect(),
        }
    }

    /// It can no longer be expected to be whole.
    pub(crate) fn forget_key(&mut self, key: &str) {
        self.finished.remove(key);
    }

    /// Somebody has removed the whole cache.
    pub(crate) fn forget_all(&mut self) {
        self.finished.clear();
    }

    /// Sleeps until a random moment of the run that was just started.
    pub(crate) fn sleep(&mut self) {
        let left = self.missing() as f64 / self.current.len() as f64;
        let moment = self.stream.range(0.0, 0.9);
        std::thread::sleep(Duration::from_millis(10) + self.whole.mul_f64(left * moment));
    }

    /// The end of a run; its code must be among `codes`.
    pub(crate) fn end(&self, run: Child, codes: &[Option<i32>]) -> Option<Ended> {
        match wait(run) {
            None => self.harm(Harm::Deadlock, "a run did not end".into()),
            Some(ended) if !codes.contains(&ended.code) => {
                self.harm(Harm::Ended, format!("{:?} instead of {codes:?}: {}", ended.code, ended.stderr));
            }
            Some(ended) => return Some(ended),
        }
        None
    }

    /// One run to its end, which must do what is missing and no more.
    pub(crate) fn clean_run(&mut self) {
        let missing = self.missing();
        let run = self.project.start(&["experiment.toml"]);
        if let Some(Ended { stderr, .. }) = self.end(run, &[Some(0)]) {
            let ran = Done { code: Some(0), stdout: String::new(), stderr }.ran();
            if ran > missing {
                self.harm(Harm::Lost, format!("{ran} stages ran, {missing} were missing"));
            }
            if ran < missing {
                self.harm(Harm::Wrong, format!("{ran} stages ran, {missing} were missing"));
            }
        }
        self.look();
        if self.missing() > 0 {
            self.harm(Harm::Lost, format!("{} stages are missing after a run", self.missing()));
        }
    }

    /// What is there after a fault: nothing that was finished is gone, nothing is other than in the undisturbed run.
    pub(crate) fn look(&mut self) {
        let there = records(&self.project);
        for (key, record) in &there {
            match self.truth.get(key) {
                Some(truth) if *truth == files(record) => {}
                Some(_) => self.harm(Harm::Wrong, format!("{} left other files", record.made.stage)),
                None => {
                    self.harm(Harm::Wrong, format!("{} has a key that the undisturbed run has not", record.made.stage))
                }
            }
        }
        for key in self.finished.iter().filter(|key| !there.contains_key(*key)) {
            let stage = self.current.iter().find(|(_, current)| *current == key);
            self.harm(Harm::Lost, format!("the record of {stage:?} is gone or damaged"));
        }
        self.finished = there.into_keys().collect();
    }

    /// All that the runs have started is gone after a moment, and so are private folders.
    pub(crate) fn nothing_is_left(&self) {
        let since = Instant::now();
        let folders = || {
            let entries = fs::read_dir(self.cache().join("work")).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| !name.ends_with(".lock"))
        };
        loop {
            let (processes, folders): (_, Vec<String>) = (self.project.processes(), folders().collect());
            if processes.is_empty() && folders.is_empty() {
                return;
            }
            if since.elapsed() > Duration::from_secs(10) {
                for process in &processes {
                    crate::processes::send(libc::SIGKILL, process.split(':').next().unwrap().parse().unwrap());
                }
                return self.harm(Harm::Left, format!("{processes:?} {folders:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `cache verify` finds everything whole.
    pub(crate) fn all_is_whole(&self) {
        let done = self.project.run(&["cache", "verify", "--quiet"]);
        if done.code != Some(0) {
            self.harm(Harm::Wrong, format!("damage after the repair: {}{}", done.stdout, done.stderr));
        }
    }
}

/// Whole records whose objects are whole, by key.
fn records(project: &Project) -> BTreeMap<String, Record> {
    if !project.path("cache/records").exists() {
        return BTreeMap::new();
    }
    let store = Store::open(&project.path("cache")).unwrap();
    let mut whole = BTreeSet::new();
    let records = store.records().unwrap().into_iter();
    records
        .filter(|record| store.find(record.key).is_some() && store.damaged(record, &mut whole).is_none())
        .map(|record| (record.key.to_string(), record))
        .collect()
}

fn files(record: &Record) -> Files {
    record.outputs.iter().map(|output| (output.path.clone(), output.digest.to_string())).collect()
}
