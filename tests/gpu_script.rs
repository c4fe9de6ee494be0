//! `benches/gpu/run` with programs that only pretend: whatever fails or ends it, what it found is in OUT.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Stands for `matssl-run`. `doctor` writes a step for each word in DOCTOR; a run waits for WAIT seconds, leaves what a run
/// leaves and, if FAILS says so, fails.
const PROGRAM: &str = r#"#!/usr/bin/env bash
while (($#)); do
  case $1 in doctor) doctor=1 ;; --report) report=$2 ;; --cache) cache=$2 ;; --reports) reports=$2 ;; esac
  shift
done
if [[ -n ${doctor:-} ]]; then
  number=0 code=0
  for word in $DOCTOR; do
    printf 'step-%d\t%s\t0.1\tseen\n' $((number += 1)) "$word" >>"$report"
    [[ $word == ok ]] || code=3
  done
  exit $code
fi
mkdir -p "$cache"/{objects,records,runs} "$reports"
echo '{"data_wait_share": 0.012}' >"$cache/records/one"
echo bits >"$cache/objects/one"
for number in 1 2 3; do head -c 300000 /dev/urandom >"$reports/$number.png"; done
sleep "${WAIT:-0}"
if [[ -n ${FAILS:-} ]]; then
  for number in {1..400}; do echo "line $number of a long log, each of them with some words"; done
  echo 'error: stage `ssl` failed: CUDA_ERROR_ILLEGAL_ADDRESS'
  exit 3
fi
echo '7 ran, 0 cached, 12.3 s'
"#;

/// Stands for the parity test.
const PARITY: &str = r#"#!/usr/bin/env bash
printf '| a | b | c | d | e | f |\n| --- |\n| conv | 3 | 1.0e-12 | 1.61 | 0.9 | each |\n' >"$MATSSL_PARITY_TABLE"
echo 'test result: ok. 20 passed; 0 failed'
"#;

/// Stands for the benchmark: each workload twice as quick as PyTorch.
const COMPUTE: &str = r#"#!/usr/bin/env bash
[[ $1 == --worker ]] && { echo 'a processor'; exit; }
while (($#)); do case $1 in --verdicts) file=$2 ;; --only) only=$2 ;; esac; shift; done
for name in ${only//,/ }; do
  name=${name#=}
  printf '%s\ttime ÷ PyTorch'"'"'s\t0.50\t≤ 1\tmet\n%s\tmemory ÷ estimate\t0.90\t≤ 1\tmet\n%s\tours\t12 ms\t–\t–\n' \
    "$name" "$name" "$name"
done >"$file"
"#;

/// A copy of the script with programs beside it.
struct Trial {
    folder: TempDir,
}

impl Trial {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, gpu) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gpu"), folder.path().join("benches/gpu"));
        fs::create_dir_all(gpu.join("packed")).unwrap();
        for name in ["run", "evidence.sh"] {
            fs::copy(source.join(name), gpu.join(name)).unwrap();
        }
        for (name, text) in [("matssl-run", PROGRAM), ("parity", PARITY), ("compute", COMPUTE)] {
            let path = gpu.join("packed").join(name);
            fs::write(&path, text).unwrap();
            assert!(Command::new("xz").arg(&path).status().expect("xz").success());
        }
        // Without cargo, which would build.
        let tools = folder.path().join("tools");
        fs::create_dir(&tools).unwrap();
        for entry in ["/usr/bin", "/bin"].iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
            let entry = entry.unwrap();
            if entry.file_name() != "cargo" {
                // Often one folder is a link to the other.
                let _ = symlink(entry.path(), tools.join(entry.file_name()));
            }
        }
        Trial { folder }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn command(&self, parts: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(self.folder.path().join("benches/gpu/run"));
        command.args(parts).env("PATH", self.folder.path().join("tools")).env("OUT", self.out());
        command.env("MATSSL_GPU_DEVICE", "cpu").env("MATSSL_PYTHON", "false").env("DOCTOR", "ok ok ok ok ok ok");
        command.env("TMPDIR", self.folder.path()).envs(settings.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // What this test ignores (a shell's `&` and nohup make it so) is not ignored by the script.
        let reset = || {
            // SAFETY: plain system call; the default disposition runs no code.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
            Ok(())
        };
        // SAFETY: between fork and exec, `reset` makes one async-signal-safe call and touches no memory of others.
        unsafe { command.pre_exec(reset) };
        command
    }

    fn run(&self, parts: &[&str], settings: &[(&str, &str)]) -> Output {
        self.command(parts, settings).output().unwrap()
    }

    fn table(&self) -> String {
        fs::read_to_string(self.out().join("table.md")).unwrap()
    }

    /// What is in the archive.
    fn archived(&self) -> String {
        let listed = Command::new("tar").arg("-tf").arg(self.out().join("all.tar.xz")).output().unwrap();
        assert!(listed.status.success());
        String::from_utf8(listed.stdout).unwrap()
    }

    /// Holds what comes back to what a machine takes.
    fn check_limits(&self, output: &Output) {
        let files: Vec<_> = fs::read_dir(self.out()).unwrap().map(|entry| entry.unwrap()).collect();
        assert!(files.len() <= 6, "{files:?}");
        assert!(files.iter().all(|file| file.metadata().unwrap().is_file()), "{files:?}");
        let shown = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(shown.chars().count() < 12_000, "{shown}");
        assert!(shown.trim_end().ends_with('|'), "the table is not last: {shown}");
    }
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come");
        sleep(Duration::from_millis(50));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn all_parts_leave_five_files_and_a_table() {
    let trial = Trial::new();
    assert_eq!(fs::metadata(trial.folder.path().join("benches/gpu/run")).unwrap().permissions().mode() & 0o100, 0o100);
    let output = trial.run(&[], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    trial.check_limits(&output);
    for name in ["table.md", "doctor.tsv", "parity.md", "run.log", "all.tar.xz"] {
        assert!(trial.out().join(name).is_file(), "{name}");
    }
    let (table, archived) = (trial.table(), trial.archived());
    for row in [
        "steps that went well | 6 of 6",
        "float64: worst relative difference | 1.0e-12",
        "files with the same bits in two runs | 1 of 1",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(archived.contains("./quickstart-1.log") && archived.contains("./quickstart-2/3.png"), "{archived}");
    assert!(!archived.contains("objects/"), "a cache came along: {archived}");
}

#[test]
fn all_parts_of_a_gpu_are_reached_after_one_that_fails() {
    let trial = Trial::new();
    // The rates of the GPU are PyTorch's to measure, and it is not there.
    let output = trial.run(&[], &[("MATSSL_GPU_DEVICE", "cuda:0")]);
    assert_eq!(output.status.code(), Some(3));
    trial.check_limits(&output);
    let table = trial.table();
    let rows = [
        "| floor | rates of the GPU | – | – | failed",
        "| bf16 | gpu/unet++/8: ours 12 ms; memory ÷ our estimate (–) | 0.90 | ≤ 1 | met |",
        "| bf16 | gpu/matssl/128: time ÷ PyTorch's (ours 12 ms) | 0.50 | ≤ 1 | met |",
        "| bf16 | gpu/unet++-inference/64: time ÷ compiled PyTorch's (ours 12 ms) | – | – | – |",
        "| tf32 | gpu/unet++/128: time ÷ PyTorch's (ours 12 ms) | 0.50 | ≤ 1 | met |",
    ];
    for row in rows {
        assert!(table.contains(row), "{row}: {table}");
    }
}

#[test]
fn a_failed_part_shows_its_log_and_the_next_one_follows() {
    let trial = Trial::new();
    let output = trial.run(&["quickstart", "alone"], &[("FAILS", "yes")]);
    assert_eq!(output.status.code(), Some(3));
    trial.check_limits(&output);
    let shown = String::from_utf8(output.stdout).unwrap();
    let log = shown.find("== quickstart-1.log ==").expect("the failed log");
    assert!(shown[log..].contains("line 400 of") && !shown.contains("line 300 of"), "{shown}");
    assert!(log < shown.find("| part | what |").unwrap());
    let table = trial.table();
    assert!(table.contains("failed (3): error: stage `ssl` failed: CUDA_ERROR_ILLEGAL_ADDRESS"), "{table}");
    assert!(table.contains("quickstart-unet++: ours 12 ms; memory ÷ our estimate (–) | 0.90"), "{table}");
}

#[test]
fn a_doctor_who_finds_the_ground_missing_ends_it_and_a_later_step_does_not() {
    let trial = Trial::new();
    let output = trial.run(&["doctor", "alone"], &[("DOCTOR", "ok failed ok ok ok")]);
    assert_eq!(output.status.code(), Some(4));
    assert!(trial.table().contains("step-2") && !trial.table().contains("0.90"), "{}", trial.table());
    let output = trial.run(&["doctor", "alone"], &[("DOCTOR", "ok ok ok ok failed ok stopped")]);
    assert_eq!(output.status.code(), Some(3));
    trial.check_limits(&output);
    let table = trial.table();
    assert!(table.contains("step-5") && table.contains("step-7") && table.contains("0.90"), "{table}");
}

#[test]
fn a_signal_leaves_what_was_found_and_nothing_running() {
    for name in ["-TERM", "-INT"] {
        let trial = Trial::new();
        let child = trial.command(&["parity", "quickstart"], &[("WAIT", "50")]).spawn().unwrap();
        wait_for("the quickstart", || {
            fs::read_to_string(trial.out().join("run.log")).is_ok_and(|log| log.contains("parity: done"))
                && fs::read_dir(trial.folder.path())
                    .unwrap()
                    .any(|entry| entry.unwrap().path().join("cache-1/runs").is_dir())
        });
        let start = Instant::now();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(143), "{name}");
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
        trial.check_limits(&output);
        let table = trial.table();
        assert!(
            table.contains("1.0e-12") && table.contains("stopped by a signal during quickstart-1"),
            "{name}: {table}"
        );
        assert!(trial.archived().contains("./parity.log"), "{name}");
        let running = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let command = fs::read(entry.unwrap().path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            command.contains(&*trial.folder.path().to_string_lossy()).then_some(command)
        });
        assert_eq!(running.collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn an_archive_that_is_too_large_leaves_pictures_behind_and_says_so() {
    let trial = Trial::new();
    let output = trial.run(&["quickstart"], &[("MATSSL_GPU_ARCHIVE_MIB", "1")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(fs::metadata(trial.out().join("all.tar.xz")).unwrap().len() <= 1 << 20);
    let (archived, log) = (trial.archived(), fs::read_to_string(trial.out().join("run.log")).unwrap());
    assert_eq!(archived.matches(".png").count(), 3, "{archived}");
    assert_eq!(log.matches("left out of the archive").count(), 3, "{log}");
    assert!(archived.contains("./quickstart-2.log"));
}
