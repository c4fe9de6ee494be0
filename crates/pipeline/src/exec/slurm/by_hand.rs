//! Job scripts for sites where only a person may submit: each task runs one stage by the command line.

use super::script::{Needs, head, option_path, quoted};
use super::settings::SlurmSettings;
use std::path::Path;

/// Stages of one kind that ask the same of Slurm.
#[derive(Clone, Debug)]
pub struct StagesByHand<'a> {
    /// Name of the job.
    pub name: &'a str,
    /// Kind of the stages.
    pub kind: &'a str,
    /// Full names of the stages; empty: all that is left, in one task.
    pub stages: &'a [String],
    /// Threads of a stage, if it sets them.
    pub threads: Option<usize>,
    /// Memory of a stage in bytes, if it is known.
    pub memory: Option<u64>,
    /// Whether they compute on a GPU where the site has them.
    pub gpu: bool,
}

impl SlurmSettings {
    /// A script that runs `of`, one stage a task, with logs in `folder`. `command` is the command line without `--only`.
    pub fn script_by_hand(&self, of: &StagesByHand<'_>, folder: &Path, command: &[String]) -> String {
        let settings = self.of_kind(of.kind);
        let needs = Needs {
            threads: of.threads.or(settings.threads).unwrap_or(1),
            memory_mib: of.memory.or(settings.memory).map(|bytes| bytes.div_ceil(1 << 20)),
            gpu: of.gpu && settings.gpu.is_some(),
            settings,
        };
        let output = option_path(folder, &format!("{}-%a.log", of.name));
        let mut lines = head(of.name, &output, of.stages.len(), &needs);
        let words = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let only = match of.stages {
            [] => "",
            stages => {
                lines.push(format!("stages=({})", words(stages)));
                " --only \"${stages[$SLURM_ARRAY_TASK_ID]}\""
            }
        };
        lines.push(format!("{}{only} &", words(command)));
        // A training writes a checkpoint, and the job queues itself again.
        lines.push(
            "trap 'kill -TERM $!; wait $!; scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"' USR1"
                .to_owned(),
        );
        lines.push("wait $!".to_owned());
        lines.join("\n") + "\n"
    }
}

/// A script that submits `scripts` (file names beside it), each with the positions of those that must end well before it.
pub fn submit_by_hand(scripts: &[(String, Vec<usize>)]) -> String {
    let mut text =
        "#!/bin/bash\n# Submits all jobs; each waits for those that it reads.\nset -e\ncd \"$(dirname \"$0\")\"\n"
            .to_owned();
    for (number, (script, after)) in scripts.iter().enumerate() {
        let after: String = after.iter().map(|before| format!(":$job{before}")).collect();
        let dependency = if after.is_empty() { String::new() } else { format!("--dependency=afterok{after} ") };
        let script = quoted(script);
        text += &format!("job{number}=$(sbatch --parsable {dependency}{script}); echo \"$job{number} \"{script}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_one_stage_and_jobs_wait_for_what_they_read() {
        let settings = SlurmSettings::from_table(&"time = '2 h'\nthreads = 2".parse().unwrap(), &["finetune"]).unwrap();
        let stages = ["a@0".to_owned(), "a@1".to_owned()];
        let of = StagesByHand {
            name: "01-a",
            kind: "finetune",
            stages: &stages,
            threads: None,
            memory: Some(1 << 30),
            gpu: true,
        };
        let text = settings.script_by_hand(&of, Path::new("/d"), &["/bin/m".to_owned(), "my file.toml".to_owned()]);
        for line in [
            "#SBATCH --array=0-1",
            "#SBATCH --cpus-per-task=2",
            "#SBATCH --mem=1024M",
            "#SBATCH --output=\"/d/01-a-%a.log\"",
            "stages=('a@0' 'a@1')",
            "'/bin/m' 'my file.toml' --only \"${stages[$SLURM_ARRAY_TASK_ID]}\" &",
        ] {
            assert!(text.lines().any(|of| of == line), "no `{line}` in\n{text}");
        }
        let submit = submit_by_hand(&[("01-a.sh".into(), vec![]), ("02-b.sh".into(), vec![0])]);
        assert!(submit.contains("job1=$(sbatch --parsable --dependency=afterok:$job0 '02-b.sh')"), "{submit}");
    }
}
