//! `[slurm]` of the site file: what a cluster wants of jobs. It is no part of an experiment and enters no key.

use matssl_base::units;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What jobs ask of Slurm. What is not set is left to Slurm's defaults.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobSettings {
    /// `--partition`.
    pub partition: Option<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--qos`.
    pub qos: Option<String>,
    /// `--constraint`.
    pub constraint: Option<String>,
    /// Wall time of a job, `"4 h"`. A training that needs longer writes a checkpoint and is queued again.
    #[serde(deserialize_with = "time")]
    pub time: Option<Duration>,
    /// Threads of a stage that sets no `threads`: `--cpus-per-task`.
    pub threads: Option<usize>,
    /// Memory of a stage whose need is not known, in bytes: `"8 GiB"`.
    #[serde(deserialize_with = "memory")]
    pub memory: Option<u64>,
    /// `--gres` of stages that train or predict, `"gpu:1"`; not set: they compute on CPUs.
    pub gpu: Option<String>,
    /// Modules to load.
    pub modules: Option<Vec<String>>,
    /// Shell lines before the program starts.
    pub prologue: Option<String>,
    /// Further arguments of `sbatch`.
    pub arguments: Option<Vec<String>>,
}

/// All settings for Slurm.
#[derive(Clone, Debug, PartialEq)]
pub struct SlurmSettings {
    common: JobSettings,
    /// By kind of stage; what they set counts more.
    kinds: BTreeMap<String, JobSettings>,
    /// Maximum number of jobs of one run in the queue, waiting ones included.
    pub max_jobs: usize,
    /// The program on the nodes; not set: the one that submits.
    pub program: Option<PathBuf>,
    /// Folder of a node for work in progress, as the job's shell reads it: `"$TMPDIR"`; not set: the cache.
    pub scratch: Option<String>,
    /// How long a file that another host has written may stay invisible.
    pub visibility: Duration,
    /// Least time between two questions to Slurm's controller.
    pub poll: Duration,
}

impl Default for SlurmSettings {
    fn default() -> Self {
        SlurmSettings {
            common: JobSettings::default(),
            kinds: BTreeMap::new(),
            max_jobs: 1000,
            program: None,
            scratch: None,
            // NFS keeps what it knows of a folder for up to a minute.
            visibility: Duration::from_secs(90),
            poll: Duration::from_secs(10),
        }
    }
}

/// Settings of the table itself; all other keys are those of [`JobSettings`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    kinds: BTreeMap<String, JobSettings>,
    max_jobs: Option<usize>,
    program: Option<PathBuf>,
    scratch: Option<String>,
    #[serde(deserialize_with = "time")]
    visibility: Option<Duration>,
    #[serde(deserialize_with = "time")]
    poll: Option<Duration>,
}

/// The keys of [`Own`].
const OWN: [&str; 6] = ["kinds", "max_jobs", "program", "scratch", "visibility", "poll"];

impl SlurmSettings {
    /// Reads the table `[slurm]`. `kinds` are the kinds of stages that a program has.
    ///
    /// # Errors
    /// What is wrong, with its key.
    pub fn from_table(table: &toml::Table, kinds: &[&str]) -> Result<Self, String> {
        let (own, common): (toml::Table, toml::Table) =
            table.clone().into_iter().partition(|(key, _)| OWN.contains(&key.as_str()));
        let wrong = |error: toml::de::Error| format!("[slurm]: {}", error.message());
        let common: JobSettings = common.try_into().map_err(wrong)?;
        let own: Own = own.try_into().map_err(wrong)?;
        if let Some(kind) = own.kinds.keys().find(|kind| !kinds.contains(&kind.as_str())) {
            return Err(format!(
                "[slurm.kinds.{kind}]: there is no kind of stage `{kind}`; kinds are {}",
                kinds.join(", ")
            ));
        }
        let all = own.kinds.values().chain([&common]);
        if all.clone().any(|settings| settings.threads == Some(0)) || own.max_jobs == Some(0) {
            return Err("[slurm]: `threads` and `max_jobs` are 1 or more".to_owned());
        }
        if all.filter_map(|settings| settings.time).any(|time| time < Duration::from_secs(60)) {
            return Err("[slurm]: `time` is a minute or more: Slurm counts in minutes".to_owned());
        }
        let default = SlurmSettings::default();
        Ok(SlurmSettings {
            common,
            kinds: own.kinds,
            max_jobs: own.max_jobs.unwrap_or(default.max_jobs),
            program: own.program,
            scratch: own.scratch,
            visibility: own.visibility.unwrap_or(default.visibility),
            poll: own.poll.unwrap_or(default.poll),
        })
    }

    /// Whether stages of a kind that compute get a GPU.
    pub fn has_gpu(&self, kind: &str) -> bool {
        self.of_kind(kind).gpu.is_some()
    }

    /// The settings of a kind of stage.
    pub(super) fn of_kind(&self, kind: &str) -> JobSettings {
        let (common, own) = (self.common.clone(), self.kinds.get(kind).cloned().unwrap_or_default());
        JobSettings {
            partition: own.partition.or(common.partition),
            account: own.account.or(common.account),
            qos: own.qos.or(common.qos),
            constraint: own.constraint.or(common.constraint),
            time: own.time.or(common.time),
            threads: own.threads.or(common.threads),
            memory: own.memory.or(common.memory),
            gpu: own.gpu.or(common.gpu),
            modules: own.modules.or(common.modules),
            prologue: own.prologue.or(common.prologue),
            arguments: own.arguments.or(common.arguments),
        }
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    units::duration(&text).map(Some).map_err(serde::de::Error::custom)
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    units::bytes(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SlurmSettings, String> {
        SlurmSettings::from_table(&text.parse().unwrap(), &["finetune", "pretrain"])
    }

    #[test]
    fn what_a_kind_sets_counts_more_than_what_all_jobs_set() {
        let settings = read(
            "partition = 'cpu'\ntime = '90 min'\nthreads = 4\nmax_jobs = 7\nkinds.pretrain = { partition = 'gpu', gpu = 'gpu:1' }",
        )
        .unwrap();
        let (pretrain, other) = (settings.of_kind("pretrain"), settings.of_kind("finetune"));
        assert_eq!((pretrain.partition.as_deref(), pretrain.threads), (Some("gpu"), Some(4)));
        assert_eq!((other.partition.as_deref(), other.gpu), (Some("cpu"), None));
        assert_eq!((other.time, settings.max_jobs), (Some(Duration::from_secs(5400)), 7));
    }

    #[test]
    fn wrong_settings_are_named() {
        let wrong = |text: &str| read(text).unwrap_err();
        assert!(wrong("partitoin = 'x'").contains("partitoin"));
        assert!(wrong("kinds.fintune = {}").contains("`fintune`"));
        assert!(wrong("time = '4'").contains("a number and a unit"));
        assert!(wrong("time = '10 s'").contains("a minute or more"));
        assert!(wrong("threads = 0").contains("1 or more"));
    }
}
