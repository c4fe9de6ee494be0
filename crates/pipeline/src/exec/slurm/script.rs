//! Job scripts.

use super::settings::JobSettings;
use std::path::Path;
use std::time::Duration;

/// Seconds before the end of its wall time at which a job is told, so that a training can write a checkpoint.
const NOTICE: u64 = 120;

/// What one task asks of Slurm; tasks that ask the same share a job array.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Needs {
    pub(super) settings: JobSettings,
    /// Threads of the stage.
    pub(super) threads: usize,
    /// Memory in MiB; `None`: Slurm's default.
    pub(super) memory_mib: Option<u64>,
    /// Whether it computes on a GPU.
    pub(super) gpu: bool,
}

/// The program that a job starts.
#[derive(Clone, Debug)]
pub(super) struct Worker<'a> {
    pub(super) program: &'a Path,
    /// Folder of a node for work in progress, as a shell reads it.
    pub(super) scratch: Option<&'a str>,
    /// Environment variables and their values.
    pub(super) environment: Vec<(&'a str, String)>,
}

/// The script of the job array `name` in `folder`, with so many tasks.
pub(super) fn script(name: &str, folder: &Path, tasks: usize, needs: &Needs, worker: &Worker<'_>) -> String {
    let mut lines = head(name, &option_path(folder, "logs/%a.log"), tasks, needs);
    lines.extend(worker.environment.iter().map(|(name, value)| format!("export {name}={}", quoted(value))));
    // In place of the shell, so that Slurm's signals reach it.
    let program = quoted(&worker.program.to_string_lossy());
    let scratch = worker.scratch.map(|scratch| format!(" --scratch {scratch}")).unwrap_or_default();
    let batch = quoted(&folder.to_string_lossy());
    lines.push(format!("exec {program} worker --batch {batch} --task \"$SLURM_ARRAY_TASK_ID\"{scratch}"));
    lines.join("\n") + "\n"
}

/// The first lines of a script: what it asks for, the modules and the prologue.
pub(super) fn head(name: &str, output: &str, tasks: usize, needs: &Needs) -> Vec<String> {
    let mut lines = vec!["#!/bin/bash".to_owned(), format!("#SBATCH --job-name={name}")];
    let Needs { settings, threads, memory_mib, gpu } = needs;
    let mut ask = |option: &str| lines.push(format!("#SBATCH {option}"));
    ask(&format!("--array=0-{}", tasks.saturating_sub(1)));
    ask(&format!("--output={output}"));
    ask("--open-mode=append");
    ask("--requeue");
    ask("--nodes=1");
    ask("--ntasks=1");
    ask(&format!("--cpus-per-task={threads}"));
    if let Some(mib) = memory_mib {
        ask(&format!("--mem={mib}M"));
    }
    if let Some(time) = settings.time {
        ask(&format!("--time={}", time.as_secs().div_ceil(60)));
        ask(&format!("--signal=B:USR1@{}", notice(time)));
    }
    let words = [
        ("partition", &settings.partition),
        ("account", &settings.account),
        ("qos", &settings.qos),
        ("constraint", &settings.constraint),
        ("gres", if *gpu { &settings.gpu } else { &None }),
    ];
    for (option, value) in words {
        if let Some(value) = value {
            ask(&format!("--{option}={value}"));
        }
    }
    settings.arguments.iter().flatten().for_each(|argument| ask(argument));
    lines.extend(settings.modules.iter().flatten().map(|module| format!("module load {}", quoted(module))));
    lines.extend(settings.prologue.clone());
    lines
}

/// Seconds before the end of `time` at which a job is told.
fn notice(time: Duration) -> u64 {
    NOTICE.min(time.as_secs() / 2)
}

/// A word of a shell.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path in an option of a script: `%` begins one of Slurm's patterns, and spaces need quotes. `file` holds such patterns.
pub(super) fn option_path(folder: &Path, file: &str) -> String {
    format!("\"{}/{file}\"", folder.to_string_lossy().replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_asks_for_what_a_task_needs() {
        let settings = JobSettings {
            partition: Some("gpu".into()),
            time: Some(Duration::from_secs(7201)),
            gpu: Some("gpu:1".into()),
            modules: Some(vec!["cuda/13".into()]),
            prologue: Some("ulimit -c 0".into()),
            arguments: Some(vec!["--exclude=n7".into()]),
            ..Default::default()
        };
        let needs = Needs { settings, threads: 4, memory_mib: Some(1500), gpu: true };
        let environment = vec![("A", "it's".to_owned())];
        let worker = Worker { program: Path::new("/opt/m r"), scratch: Some("\"$TMPDIR\""), environment };
        let text = script("matssl-x", Path::new("/c/50 %/slurm/b"), 3, &needs, &worker);
        assert_eq!(
            text,
            "#!/bin/bash\n\
             #SBATCH --job-name=matssl-x\n\
             #SBATCH --array=0-2\n\
             #SBATCH --output=\"/c/50 %%/slurm/b/logs/%a.log\"\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --requeue\n\
             #SBATCH --nodes=1\n\
             #SBATCH --ntasks=1\n\
             #SBATCH --cpus-per-task=4\n\
             #SBATCH --mem=1500M\n\
             #SBATCH --time=121\n\
             #SBATCH --signal=B:USR1@120\n\
             #SBATCH --partition=gpu\n\
             #SBATCH --gres=gpu:1\n\
             #SBATCH --exclude=n7\n\
             module load 'cuda/13'\n\
             ulimit -c 0\n\
             export A='it'\\''s'\n\
             exec '/opt/m r' worker --batch '/c/50 %/slurm/b' --task \"$SLURM_ARRAY_TASK_ID\" --scratch \"$TMPDIR\"\n"
        );
        let no_gpu = Needs { gpu: false, memory_mib: None, settings: JobSettings::default(), threads: 1 };
        let text = script("n", Path::new("/c"), 1, &no_gpu, &Worker { scratch: None, environment: vec![], ..worker });
        assert!(!text.contains("gres") && !text.contains("--mem") && !text.contains("--time"), "{text}");
    }
}
