//! Trivial stages as Slurm jobs, beside a plain job array and Snakemake: `cargo bench --bench slurm`. See `benches/README.md`.

#[path = "../../tests/slurm/cluster.rs"]
#[allow(dead_code, reason = "made for tests, which use more of it")]
mod cluster;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use cluster::Cluster;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a side may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// Times stages that write one number each, as jobs of a Slurm of one node, which it starts: by matssl-run, as a plain job array,
/// and by Snakemake's Slurm executor.
#[derive(Parser)]
struct Arguments {
    /// Number of stages.
    #[arg(long, default_value_t = 1000)]
    stages: usize,
    /// Rounds of matssl-run and of the plain array, by turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Snakemake 9 with snakemake-executor-plugin-slurm; one round, because it takes long.
    #[arg(long, value_name = "PATH")]
    snakemake: Option<PathBuf>,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One way to run the stages.
#[derive(Clone, Copy)]
enum Side {
    Plain,
    Ours,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        (1..=1000).contains(&arguments.stages) && arguments.rounds > 0,
        "--stages takes 1 to 1000, --rounds 1 or more"
    );
    let bench = Bench { cluster: Cluster::start("bench"), count: arguments.stages };
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 0..arguments.rounds {
        // Whoever began a round ends the next one.
        let sides = if round % 2 == 0 { [Side::Plain, Side::Ours] } else { [Side::Ours, Side::Plain] };
        for side in sides {
            seconds[side as usize].push(bench.time(side)?);
        }
    }
    let [plain, ours] = seconds.map(|mut of| {
        of.sort_by(f64::total_cmp);
        of[of.len() / 2]
    });
    println!(
        "| {} stages, medians of {} | seconds | ÷ plain array |\n| --- | ---: | ---: |",
        bench.count, arguments.rounds
    );
    println!("| `sbatch --array`, a shell command each | {plain:.1} | 1 |");
    println!("| matssl-run --executor slurm (target 1.3) | {ours:.1} | {:.2} |", ours / plain);
    if let Some(program) = arguments.snakemake {
        let seconds = bench.snakemake(&program)?;
        println!("| Snakemake --executor slurm, one round | {seconds:.1} | {:.2} |", seconds / plain);
    }
    Ok(())
}

struct Bench {
    cluster: Cluster,
    count: usize,
}

impl Bench {
    /// Seconds until the last stage's output is there.
    fn time(&self, side: Side) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        let seconds = match side {
            Side::Plain => self.plain(folder.path()),
            Side::Ours => self.ours(folder.path()),
        }?;
        eprintln!("{}: {seconds:.1} s", if matches!(side, Side::Plain) { "plain array" } else { "matssl-run" });
        self.until("an empty queue", || Ok(self.cluster.call("squeue", &["-h"]).is_ok_and(|text| text.is_empty())))?;
        Ok(seconds)
    }

    fn plain(&self, folder: &Path) -> Result<f64> {
        let script = format!(
            "#!/bin/bash\n#SBATCH --array=0-{}\n#SBATCH --output={1}/%a.log\n#SBATCH --mem=64M\n\
             #SBATCH --open-mode=append\n#SBATCH --nodes=1\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=1\n\
             echo $SLURM_ARRAY_TASK_ID > {1}/$SLURM_ARRAY_TASK_ID.out\n",
            self.count - 1,
            folder.display()
        );
        fs::write(folder.join("script.sh"), script)?;
        let since = Instant::now();
        self.wait_for(self.command("sbatch").arg(folder.join("script.sh")))?;
        let outputs = || -> Result<usize> {
            let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
            Ok(entries.iter().filter(|entry| entry.path().extension().is_some_and(|end| end == "out")).count())
        };
        self.until("all outputs", || Ok(outputs()? == self.count))?;
        Ok(since.elapsed().as_secs_f64())
    }

    fn ours(&self, folder: &Path) -> Result<f64> {
        let commands: Vec<String> = (0..self.count)
            .map(|number| format!("n{number:03} = [\"sh\", \"-c\", \"echo $0 > out\", \"{number}\"]"))
            .collect();
        let experiment = format!(
            "name = \"trivial\"\n[stages.some]\nkind = \"command\"\noutputs = [\"out\"]\nmatrix.command = {{ {} }}\n",
            commands.join(", ")
        );
        fs::write(folder.join("experiment.toml"), experiment)?;
        fs::write(folder.join("site.toml"), "[slurm]\nmemory = \"64 MiB\"\n")?;
        let mut command = self.command(env!("CARGO_BIN_EXE_matssl-run"));
        command.args(["experiment.toml", "--executor", "slurm"]).current_dir(folder);
        command.env("MATSSL_CONFIG", folder.join("site.toml")).env_remove("MATSSL_CACHE").env_remove("MATSSL_REMOTE");
        let since = Instant::now();
        self.wait_for(&mut command)?;
        let seconds = since.elapsed().as_secs_f64();
        let records = fs::read_dir(folder.join("cache/records"))?.count();
        ensure!(records == self.count, "{records} of {} stages have a record", self.count);
        Ok(seconds)
    }

    fn snakemake(&self, program: &Path) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        let text = format!(
            "rule all:\n    input: expand('out/{{n}}', n=range({}))\n\
             rule one:\n    output: 'out/{{n}}'\n    shell: 'echo {{wildcards.n}} > {{output}}'\n",
            self.count
        );
        fs::write(folder.path().join("Snakefile"), text)?;
        let mut command = self.command(&std::path::absolute(program)?.to_string_lossy());
        command.args(["--executor", "slurm", "--jobs", "1000", "--slurm-no-account"]);
        // It takes Slurm's variables out of the environment in which its jobs call srun.
        let (name, value) = self.cluster.variable();
        let srun = folder.path().join("srun");
        fs::write(&srun, format!("#!/bin/sh\nPATH=${{PATH#*:}} {name}={value} exec srun \"$@\"\n"))?;
        fs::set_permissions(&srun, fs::Permissions::from_mode(0o755))?;
        command.env("PATH", format!("{}:{}", folder.path().display(), std::env::var("PATH")?));
        // There is no accounting here, which it asks by default.
        command.args(["--slurm-status-command=squeue", "--slurm-init-seconds-before-status-checks=1"]);
        command.args(["--default-resources", "mem_mb=480", "slurm_partition=main", "runtime=60"]);
        command.current_dir(folder.path());
        let since = Instant::now();
        let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
        ensure!(status.success(), "Snakemake: {status}");
        let seconds = since.elapsed().as_secs_f64();
        let outputs = fs::read_dir(folder.path().join("out"))?.count();
        ensure!(outputs == self.count, "{outputs} of {} outputs", self.count);
        Ok(seconds)
    }

    fn command(&self, program: &str) -> Command {
        let (name, value) = self.cluster.variable();
        let mut command = Command::new(program);
        command.env(name, value).stdin(Stdio::null());
        command
    }

    fn wait_for(&self, command: &mut Command) -> Result<()> {
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
        Ok(())
    }

    fn until(&self, what: &str, is: impl Fn() -> Result<bool>) -> Result<()> {
        let since = Instant::now();
        while !is()? {
            if since.elapsed() > LONGEST {
                bail!("{what}: not within an hour");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}
