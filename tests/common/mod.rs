//! A project in a temporary folder, and the program run in it as a user would.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod browser;
pub mod steel;

use std::fs;
use std::os::fd::FromRawFd as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The smallest experiment that goes all the way, in seconds.
pub const TOY: &str = r#"
name = "toy"
title = "A toy"
seeds = [0, 1]

[stages.micrographs]
kind = "synthesize"
size = 64
unlabeled = 4
train = 3
val = 1
test = 2

[stages.patches]
kind = "patchify"
dataset = "micrographs"
size = 32

[stages.ssl]
kind = "pretrain"
patches = "patches"
method = { name = "matssl", temperature = 0.07 }
encoder = { arch = "resnet18", width = 8, weights = "random" }
epochs = 3
batch_size = 8
optimizer = { name = "sgd", learning_rate = 0.05, momentum = 0.9 }

[stages.segment]
kind = "finetune"
dataset = "micrographs"
matrix.encoder = { matssl = "ssl", random = { arch = "resnet18", width = 8, weights = "random" } }
decoder_channels = [16, 16, 8, 8, 8]
epochs = 3
batch_size = 2
crop_size = 32
optimizer = { name = "adam", learning_rate = 1e-3 }

[stages.test]
kind = "evaluate"
dataset = "micrographs"
matrix.model = ["segment.*"]

[[tables]]
file = "table"
title = "A table"
rows = ["test.*"]

[[figures]]
file = "curve"
kind = "curve"
metric = "val_miou"
series = { "MatSSL" = "segment.matssl", "random" = "segment.random" }

[[overlays]]
file = "pictures"
dataset = "micrographs"
rows = { "MatSSL" = "test.segment.matssl" }
"#;

/// A folder with an experiment in it.
pub struct Project {
    dir: tempfile::TempDir,
}

/// What the program printed and how it ended.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new(experiment: &str) -> Self {
        let project = Project { dir: tempfile::tempdir().unwrap() };
        project.write("experiment.toml", experiment);
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Replaces text in the experiment; it must be there.
    pub fn edit(&self, from: &str, to: &str) -> &Self {
        let text = fs::read_to_string(self.path("experiment.toml")).unwrap();
        assert!(text.contains(from), "no `{from}` to replace");
        self.write("experiment.toml", text.replace(from, to))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matssl-run"));
        command.args(args).current_dir(self.dir.path()).env_remove("MATSSL_DATA").env_remove("MATSSL_CACHE");
        command.env_remove("MATSSL_MEMORY_LIMIT").env_remove("MATSSL_TENSORBOARD").env_remove("MATSSL_LOG");
        // No site file: that of whoever runs the tests may name a shared cache.
        command.env("MATSSL_CONFIG", "").env_remove("MATSSL_REMOTE");
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        // What this test ignores (a shell's `&` and nohup make it so) is not ignored by the program under test.
        set_signal(&mut command, libc::SIGINT, libc::SIG_DFL);
        set_signal(&mut command, libc::SIGHUP, libc::SIG_DFL);
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        self.run_with(&[], args)
    }

    /// With variables in its environment.
    pub fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Done {
        let output = self.command(args).envs(variables.iter().copied()).output().unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.start_with(&[], args)
    }

    /// With variables in its environment.
    pub fn start_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Child {
        self.command(args).envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// With standard input from a terminal, whose other end comes second.
    pub fn start_at_terminal(&self, variables: &[(&str, &str)], args: &[&str]) -> (Child, fs::File) {
        let (mut ours, mut theirs) = (0, 0);
        let null = std::ptr::null_mut();
        // SAFETY: writes two numbers, and reads nothing, because the other pointers are null.
        let made = unsafe { libc::openpty(&mut ours, &mut theirs, null, std::ptr::null_mut(), std::ptr::null_mut()) };
        assert_eq!(made, 0, "no terminal");
        // SAFETY: both are open and nobody else's.
        let (ours, theirs) = unsafe { (fs::File::from_raw_fd(ours), fs::File::from_raw_fd(theirs)) };
        let mut command = self.command(args);
        command.envs(variables.iter().copied()).stdin(theirs).stdout(Stdio::null()).stderr(Stdio::piped());
        (command.spawn().unwrap(), ours)
    }

    /// Started as `nohup` would.
    pub fn start_ignoring(&self, signal: i32, args: &[&str]) -> Child {
        let mut command = self.command(args);
        set_signal(&mut command, signal, libc::SIG_IGN);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Processes that hold a file of this project open or run in its folder.
    pub fn processes(&self) -> Vec<String> {
        let root = fs::canonicalize(self.dir.path()).unwrap();
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let name = process.file_name().to_string_lossy().into_owned();
            if name.parse::<u32>().is_ok_and(|pid| pid != std::process::id()) {
                let cwd = fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&root));
                // A zombie has no working directory any more, so it does not count.
                if cwd {
                    let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    found.push(format!("{name}: {}", String::from_utf8_lossy(&command).replace('\0', " ")));
                }
            }
        }
        found
    }

    /// Every file below `folder` with its content, sorted; not the page and its facts, which say when and where things
    /// were made.
    pub fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.path(folder), &self.path(folder), &mut files);
        files.retain(|(name, _)| !name.ends_with("index.html") && !name.ends_with("run.json"));
        files.sort();
        files
    }

    /// Paths below `folder`, of whatever is there while it is looked at.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let (mut folders, mut names) = (vec![self.path(folder)], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => names.push(entry.path().to_string_lossy().into_owned()),
                }
            }
        }
        names
    }

    /// Names of finished stages' outputs: (stage, output path, content hash), from the records.
    pub fn outputs(&self) -> Vec<(String, String, String)> {
        let mut outputs = Vec::new();
        for (_, text) in self.files("cache/records").iter().filter(|(name, _)| name.ends_with(".json")) {
            let record: serde_json::Value = serde_json::from_slice(text).unwrap();
            for output in record["outputs"].as_array().unwrap() {
                let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                outputs.push((word(&record["made"]["stage"]), word(&output["path"]), word(&output["digest"])));
            }
        }
        outputs.sort();
        outputs
    }
}

impl Done {
    /// Stages that workers did, as the last line says.
    pub fn ran(&self) -> usize {
        let (before, _) = self.stderr.split_once(" ran, ").unwrap_or_else(|| panic!("no count in: {}", self.stderr));
        before.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self
    }
}

fn set_signal(command: &mut Command, signal: i32, disposition: libc::sighandler_t) {
    let set = move || {
        // SAFETY: plain system call; neither disposition runs any code.
        unsafe { libc::signal(signal, disposition) };
        Ok(())
    };
    // SAFETY: between fork and exec, `set` makes one async-signal-safe call and touches no memory of others.
    unsafe { command.pre_exec(set) };
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read(path).unwrap()));
        }
    }
}
