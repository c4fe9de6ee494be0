//! `command`: runs any program with declared inputs and outputs, e.g. a Python baseline or a converter.
//!
//! The program starts in its own empty folder:
//!
//! ```text
//! inputs/<label>/…   outputs of the stages in `inputs`: read-only
//! <name>             the files in `files`, under the same names: copies, or links if they are large
//! <output>           files that the program must write: the paths in `outputs`
//! ```
//! Its standard output and standard error go to the stage's log.

mod visible;

use super::outlook::Outlook;
use super::{Context, ExternalFiles, Foresight, InputFiles, Known, Places, StageError, StageKind};
use crate::cache::Scratch;
use crate::data::Manifest;
use crate::experiment::{Input, ParamError, ReferenceSpec};
use crate::machine::{self, Ended};
use crate::nn::DeviceName;
use anyhow::{Context as _, anyhow};
use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

/// Placeholder for the seed in an argument. A stage that contains it is repeated for each seed.
const SEED: &str = "{seed}";
/// Placeholder for the number of threads that the stage may use.
const THREADS: &str = "{threads}";

/// Runs a program. Writes the files that `outputs` declares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// The program and its arguments, one string each. No shell interprets them. `{seed}` in an argument is replaced by
    /// the seed, `{threads}` by the number of threads.
    command: Vec<String>,
    /// Further arguments after those of `command`, for variation by a `matrix`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<String>,
    /// Stages whose outputs the program reads, below `inputs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inputs: Option<Input>,
    /// Files and folders that the program reads, relative to the experiment file, e.g. scripts and settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
    /// Outputs of the program, relative to its folder: files, folders or patterns such as `"masks/*.png"`. Other files
    /// are not kept.
    outputs: Vec<String>,
    /// Environment variables of the program, in addition to the inherited ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    /// Version of the program. Change it when the program changes but `files` do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Whether the program gets its own GPU, if the machine has one (`CUDA_VISIBLE_DEVICES`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gpu: bool,
}

impl StageKind for Command {
    const KIND: &'static str = "command";
    const CODE_VERSION: u32 = 1;
    const SPAWNS: bool = true;
    const LABELLED: bool = true;
    // The key contains the names and contents of the files. A GPU matters no more than for other kinds.
    const UNKEYED: &'static [&'static str] = &["files", "gpu"];
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many(
        "inputs",
        &["command", "dataset", "synthesize", "patchify", "pretrain", "finetune", "evaluate"],
    )
    .or_value()];

    fn check(&self) -> Result<(), ParamError> {
        let wrong = |param, message: String| Err(ParamError::Check { param, message });
        if self.command.first().is_none_or(String::is_empty) {
            return wrong("command", "expected a program and its arguments, e.g. `[\"python\", \"train.py\"]`".into());
        }
        if self.words().any(|word| word.contains('\0')) {
            return wrong("command", "an argument contains a NUL character, which programs cannot receive".into());
        }
        for file in &self.files {
            if !is_inside(file) {
                let message = format!(
                    "{}: expected a relative path below the folder of the experiment file, without `..`",
                    file.display()
                );
                return wrong("files", message);
            }
        }
        if self.outputs.is_empty() {
            return wrong(
                "outputs",
                "expected at least one file that the program writes, e.g. `[\"scores.csv\"]`".into(),
            );
        }
        for output in &self.outputs {
            let path = Path::new(output);
            if !is_inside(path) || path.starts_with("inputs") {
                let message = format!("`{output}`: expected a path inside the program's folder, not below `inputs/`");
                return wrong("outputs", message);
            }
            if let Some(file) = self.files.iter().find(|file| path.starts_with(file)) {
                let message =
                    format!("`{output}` is {} of `files`, or inside it: write to another name", file.display());
                return wrong("outputs", message);
            }
            // Most outputs are plain paths, and compiling a thousand patterns is slow.
            if let Some(Err(error)) = output.contains(['*', '?', '[', '{', '\\']).then(|| pattern(output)) {
                return wrong("outputs", format!("`{output}` is not a valid pattern: {error}"));
            }
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return wrong("environment", format!("`{}` is not a valid variable name", name.escape_debug()));
            }
        }
        Ok(())
    }

    fn draws(&self) -> bool {
        self.words().chain(self.environment.values()).any(|word| word.contains(SEED))
    }

    fn computes(&self) -> bool {
        self.gpu
    }

    fn ready(&self, places: &Places) -> Result<(), StageError> {
        let program = Path::new(&self.command[0]);
        let found = match program.components().count() {
            1 => {
                let path = self.environment.get("PATH").map(Into::into).or_else(|| std::env::var_os("PATH"));
                std::env::split_paths(&path.unwrap_or_default()).any(|folder| folder.join(program).is_file())
            }
            _ if program.is_absolute() => program.is_file(),
            // `./run.sh` is the file `run.sh` in this folder, not a program on the PATH.
            _ if !self.files.iter().any(|file| program.strip_prefix(".").unwrap_or(program).starts_with(file)) => {
                let message = format!("`{}` is not listed in `files`: add it", program.display());
                return Err(StageError::NotThere(message));
            }
            _ => places.experiment.join(program).is_file(),
        };
        if found {
            return Ok(());
        }
        let message = format!("program `{}` not found; install it, or correct `command`", program.display());
        Err(StageError::NotThere(message))
    }

    fn external_files(&self, places: &Places) -> Result<ExternalFiles, StageError> {
        let mut files = Vec::new();
        for file in &self.files {
            let path = places.experiment.join(file);
            let before = files.len();
            below(&path, file, &mut files).map_err(|(path, error)| {
                let cure = match error.kind() {
                    ErrorKind::NotFound => "put it there, or correct `files`",
                    _ => "rename or remove it, or correct `files`",
                };
                StageError::NotThere(format!("{}: {error}; {cure}", path.display()))
            })?;
            if files.len() == before {
                let message = format!("{}: contains no files; correct `files`", path.display());
                return Err(StageError::NotThere(message));
            }
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        (!self.files.is_empty()).then(|| places.experiment.clone())
    }

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        // Only its program knows what it needs.
        Foresight { prospect: Outlook::Files(self.outputs.clone()).prospect(), ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let scratch = context.scratch.clone().context("the command has no folder to run in")?;
        let folder = scratch.folder();
        for input in context.inputs("inputs") {
            link_input(input, &scratch)?;
        }
        for (name, (path, _)) in &context.external {
            copy(path, &folder.join(name), &scratch)?;
        }
        // Objects of the cache, because the owner of the cache can write to them through any link.
        let objects = context.inputs("inputs").iter().flat_map(|input| input.files.values().cloned());
        let inputs: Vec<_> = objects.map(|object| (stamp(&object), object)).collect();
        let ended = self.start(context, &folder)?;
        context.telemetry.insert("cpu_seconds".into(), ended.cpu_seconds.into());
        context.telemetry.insert("peak_memory_mib".into(), ended.peak_memory_mib.into());
        self.judge(&ended, &folder)?;
        if let Some((_, object)) = inputs.iter().find(|(before, object)| stamp(object) != *before) {
            let message = "wrote to one of its inputs, or another program did while it ran; inputs are read-only. \
                           `matssl-run cache verify` finds damaged files";
            return Err(anyhow!("`{}` {message} ({})", self.command[0], object.display()).into());
        }
        self.collect(&folder, &context.out)
    }
}

impl Command {
    fn words(&self) -> impl Iterator<Item = &String> {
        self.command.iter().chain(&self.arguments)
    }

    /// Runs the program in `folder` and waits for its end.
    fn start(&self, context: &Context, folder: &Path) -> Result<Ended, StageError> {
        let (seed, threads) = (context.seed.to_string(), context.threads.to_string());
        let filled = |word: &String| word.replace(SEED, &seed).replace(THREADS, &threads);
        let mut words = self.words().map(filled);
        let name = words.next().unwrap_or_default();
        let is_path = Path::new(&name).components().count() > 1;
        // Systems differ in whether they resolve a relative program before or after the change of folder.
        let program = if is_path { folder.join(&name) } else { PathBuf::from(&name) };
        let mut command = std::process::Command::new(program);
        command.args(words).current_dir(folder).stdin(Stdio::null());
        if let Some(log) = &context.log {
            let log = File::options().create(true).append(true).open(log)?;
            command.stdout(log.try_clone()?).stderr(log);
        }
        command.env("MATSSL_SEED", &seed).env("MATSSL_THREADS", &threads);
        for library in ["OMP_NUM_THREADS", "RAYON_NUM_THREADS"] {
            if std::env::var_os(library).is_none() {
                command.env(library, &threads);
            }
        }
        command.env("MATSSL_DEVICE", context.device.to_string());
        if let Some(gpu) = visible_gpu(context.device)? {
            command.env(visible::VARIABLE, gpu);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, filled(value))));
        if let Some(mark) = &context.mark {
            command.env(machine::MARK, mark);
        }
        context.group.run(&mut command).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => StageError::Stopped("stopped".into()),
            ErrorKind::NotFound => {
                StageError::NotThere(format!("program `{name}` not found; install it, or correct `command`"))
            }
            _ => anyhow!("cannot start `{name}`: {error}").into(),
        })
    }

    /// Returns an error unless the program succeeded.
    fn judge(&self, ended: &Ended, folder: &Path) -> Result<(), StageError> {
        let name = &self.command[0];
        // The log is on the same disk and may lack the message.
        let full = match machine::free_space(folder) {
            Some(free) if free < 1 << 20 => format!("; the disk of its folder has {} KiB of space left", free >> 10),
            _ => String::new(),
        };
        match (ended.status.code(), ended.status.signal()) {
            // With any exit code, because the outputs may be incomplete.
            _ if ended.asked_to_stop => Err(StageError::Stopped(format!("`{name}` was asked to stop"))),
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(anyhow!("`{name}` ended with exit code {code}{full}").into()),
            (None, Some(libc::SIGTERM)) => Err(StageError::Stopped(format!("`{name}` was ended by signal 15"))),
            (None, signal) => {
                let message = format!("`{name}` was ended by signal {}{full}", signal.unwrap_or(0));
                Err(StageError::Lost { signal, message })
            }
        }
    }

    /// Moves the declared outputs from the program's `folder` to `out`.
    fn collect(&self, folder: &Path, out: &Path) -> Result<(), StageError> {
        let mut all = BTreeSet::new();
        for output in &self.outputs {
            let mut wanted = BTreeSet::new();
            let path = folder.join(output);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_file() => drop(wanted.insert(PathBuf::from(output))),
                Ok(found) if found.is_symlink() => {
                    return Err(anyhow!("output {output} is a link; the program must write a regular file").into());
                }
                Ok(_) => files_in(folder, Path::new(output), None, &mut wanted)?,
                Err(_) => {
                    let matcher = pattern(output).map_err(|error| anyhow!("`{output}`: {error}"))?;
                    files_in(folder, Path::new(""), Some(&matcher), &mut wanted)?;
                    // Inputs are not outputs.
                    let shown = |path: &PathBuf| {
                        path.starts_with("inputs") || self.files.iter().any(|file| path.starts_with(file))
                    };
                    wanted.retain(|path| !shown(path));
                }
            }
            if wanted.is_empty() {
                let cure = "correct the program or `outputs`";
                return Err(anyhow!("`{}` succeeded but did not write {output}; {cure}", self.command[0]).into());
            }
            all.extend(wanted);
        }
        for path in all {
            let target = out.join(&path);
            if let Some(parent) = target.parent().filter(|parent| *parent != out) {
                fs::create_dir_all(parent)?;
            }
            fs::rename(folder.join(&path), target)?;
        }
        Ok(())
    }
}

/// The value of the program's `CUDA_VISIBLE_DEVICES` for the GPU `device`; `None` for the CPU.
///
/// # Errors
/// If the list of this process has no such GPU.
fn visible_gpu(device: DeviceName) -> Result<Option<String>, StageError> {
    let inherited = std::env::var_os(visible::VARIABLE);
    let inherited = inherited.as_ref().map(|list| list.to_string_lossy());
    let entry = |ordinal| visible::entry(inherited.as_deref(), ordinal);
    match device {
        DeviceName::Cpu => Ok(None),
        DeviceName::Cuda(ordinal) => entry(ordinal).map(Some).map_err(StageError::NotThere),
        // There may be more pretended GPUs than entries in the list.
        DeviceName::Pretended(ordinal) => Ok(Some(entry(ordinal).unwrap_or_else(|_| ordinal.to_string()))),
    }
}

/// The size and the modification time of a file.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}

fn pattern(output: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(output).literal_separator(true).build()?.compile_matcher())
}

/// Whether `path` is relative and stays inside its folder.
fn is_inside(path: &Path) -> bool {
    path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Adds the files at or below `path` to `files`, under `name`.
///
/// # Errors
/// The path that is unreadable or neither a file nor a folder (reading a pipe would block for ever), and the reason.
fn below(path: &Path, name: &Path, files: &mut ExternalFiles) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |error| (path.to_owned(), error);
    let text = |path: &Path, name: &Path| match name.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err((path.to_owned(), std::io::Error::other("its name is not UTF-8"))),
    };
    let kind = fs::metadata(path).map_err(at)?;
    if !kind.is_dir() {
        if !kind.is_file() {
            return Err(at(std::io::Error::other("neither a file nor a folder")));
        }
        files.push((text(path, name)?, path.to_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(at)? {
        let entry = entry.map_err(at)?;
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        // Python's caches are not part of a program.
        if entry.file_name() == "__pycache__" {
            continue;
        }
        // The folder knows the type: this saves a system call for each of ten thousand files.
        if entry.file_type().map_err(at)?.is_file() {
            files.push((text(&path, &name)?, path));
        } else {
            below(&path, &name, files)?;
        }
    }
    Ok(())
}

/// Adds the regular files (no links) at or below `folder`/`at` that match the pattern, or all without a pattern.
fn files_in(
    folder: &Path,
    at: &Path,
    pattern: Option<&GlobMatcher>,
    files: &mut BTreeSet<PathBuf>,
) -> std::io::Result<()> {
    for entry in fs::read_dir(folder.join(at))? {
        let entry = entry?;
        let (path, kind) = (at.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            files_in(folder, &path, pattern, files)?;
        } else if kind.is_file() && pattern.is_none_or(|pattern| pattern.is_match(&path)) {
            files.insert(path);
        }
    }
    Ok(())
}

/// Puts the outputs of a stage below `inputs/<label>`; for a data set also its images, as `source`.
fn link_input(input: &InputFiles, scratch: &Scratch) -> anyhow::Result<()> {
    if !is_inside(Path::new(&input.label)) {
        anyhow::bail!("`{}` is not a valid folder name; give this input another label", input.label);
    }
    let folder = scratch.folder().join("inputs").join(&input.label);
    for (name, object) in &input.files {
        let shown = folder.join(name);
        scratch.make_folder(shown.parent().unwrap_or(&folder))?;
        // A hard link if possible: a symbolic link to such a long path occupies a disk block.
        if fs::hard_link(object, &shown).is_err() {
            link(object, &shown, scratch)?;
        }
    }
    if input.files.contains_key(Manifest::FILE)
        && let Some(source) = &input.source
    {
        link(source, &folder.join("source"), scratch)?;
    }
    Ok(())
}

/// Size in bytes above which files are linked instead of copied: they are data, not programs.
const LARGE: u64 = 64 << 20;

/// Copies a file of the user to `name`. Not a link, because the program may write to it, and Python looks for modules
/// beside the target of a link. The copy shares disk blocks with the file if the file system supports that.
fn copy(file: &Path, name: &Path, scratch: &Scratch) -> anyhow::Result<()> {
    if fs::metadata(file).is_ok_and(|file| file.len() > LARGE) {
        return link(file, name, scratch);
    }
    scratch.make_folder(name.parent().unwrap_or(name))?;
    fs::copy(file, name).with_context(|| format!("cannot copy {} for the program", file.display()))?;
    Ok(())
}

fn link(target: &Path, name: &Path, scratch: &Scratch) -> anyhow::Result<()> {
    scratch.make_folder(name.parent().unwrap_or(name))?;
    let linked = std::os::unix::fs::symlink(target, name);
    linked.with_context(|| format!("cannot link {} for the program", target.display()))
}
