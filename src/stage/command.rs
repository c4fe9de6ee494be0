//! `command`: any program, with declared inputs and outputs: a Python baseline, a converter.
//!
//! The program starts in an empty folder of its own:
//!
//! ```text
//! inputs/<label>/…   what the stages in `inputs` left: not to be written to
//! <name>             the files in `files`, under the names that they have there: copies, but links to large ones
//! <output>           what it shall leave: the paths in `outputs`
//! ```
//! Everything that it says goes to the stage's log.

mod visible;

use super::{Context, ExternalFiles, InputFiles, Places, StageError, StageKind};
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

/// Stands for the seed in an argument, and makes the stage one that is repeated for each seed.
const SEED: &str = "{seed}";
/// Stands for the number of threads the stage may use.
const THREADS: &str = "{threads}";

/// Runs a program. Leaves the files that `outputs` declares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// The program and its arguments, one each: no shell reads them. `{seed}` in an argument stands for the seed,
    /// `{threads}` for the number of threads.
    command: Vec<String>,
    /// More arguments, put after those of `command`: what a `matrix` varies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<String>,
    /// Stages whose output it reads, below `inputs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inputs: Option<Input>,
    /// Files and folders that it reads, relative to the experiment file: scripts, settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
    /// What it leaves, relative to its folder: files, folders, or patterns such as `"masks/*.png"`. Nothing else is kept.
    outputs: Vec<String>,
    /// Variables put into its environment, besides those that are there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    /// To be changed when the program changes in a way that `files` do not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Whether it is given a GPU of its own, where there are any (`CUDA_VISIBLE_DEVICES`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gpu: bool,
}

impl StageKind for Command {
    const KIND: &'static str = "command";
    const CODE_VERSION: u32 = 1;
    const SPAWNS: bool = true;
    const LABELLED: bool = true;
    // The files' names and contents are in the key; a GPU changes no more than it does for other kinds.
    const UNKEYED: &'static [&'static str] = &["files", "gpu"];
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many(
        "inputs",
        &["command", "dataset", "synthesize", "patchify", "pretrain", "finetune", "evaluate"],
    )
    .or_value()];

    fn check(&self) -> Result<(), ParamError> {
        let wrong = |param, message: String| Err(ParamError::Check { param, message });
        if self.command.first().is_none_or(String::is_empty) {
            return wrong("command", "expected a program and its arguments, as `[\"python\", \"train.py\"]`".into());
        }
        if self.words().any(|word| word.contains('\0')) {
            return wrong("command", "an argument holds a NUL character, which no program can be given".into());
        }
        for file in &self.files {
            if !is_inside(file) {
                let message = format!(
                    "{}: expected a path below the experiment file's folder; `..` and absolute paths cannot be shown to \
                     the program under the same name",
                    file.display()
                );
                return wrong("files", message);
            }
        }
        if self.outputs.is_empty() {
            return wrong(
                "outputs",
                "expected at least one file that the program leaves, as `[\"scores.csv\"]`".into(),
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
                    format!("`{output}` is, or lies below, {} of `files`: write to another name", file.display());
                return wrong("outputs", message);
            }
            // Most are plain paths; compiling a thousand of them takes a while.
            if let Some(Err(error)) = output.contains(['*', '?', '[', '{', '\\']).then(|| pattern(output)) {
                return wrong("outputs", format!("`{output}` is no pattern: {error}"));
            }
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return wrong("environment", format!("`{}` cannot name a variable", name.escape_debug()));
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
            // `./run.sh` is `run.sh` here, and not on the PATH.
            _ if !self.files.iter().any(|file| program.strip_prefix(".").unwrap_or(program).starts_with(file)) => {
                let message = format!("`{}` is not among its `files`: add it there", program.display());
                return Err(StageError::NotThere(message));
            }
            _ => places.experiment.join(program).is_file(),
        };
        if found {
            return Ok(());
        }
        let message = format!("no program `{}` is there; install it, or correct `command`", program.display());
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
                let message = format!("{}: holds no files; correct `files`", path.display());
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

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let scratch = context.scratch.clone().context("a command without a folder to run in")?;
        let folder = scratch.folder();
        for input in context.inputs("inputs") {
            show_input(input, &scratch)?;
        }
        for (name, (path, _)) in &context.external {
            copy(path, &folder.join(name), &scratch)?;
        }
        // Of the objects themselves: who owns the cache can write to them through any name.
        let objects = context.inputs("inputs").iter().flat_map(|input| input.files.values().cloned());
        let inputs: Vec<_> = objects.map(|object| (stamp(&object), object)).collect();
        let ended = self.start(context, &folder)?;
        context.telemetry.insert("cpu_seconds".into(), ended.cpu_seconds.into());
        context.telemetry.insert("peak_memory_mib".into(), ended.peak_memory_mib.into());
        self.judge(&ended, &folder)?;
        if let Some((_, object)) = inputs.iter().find(|(before, object)| stamp(object) != *before) {
            let message = "wrote to one of its inputs, or somebody else did while it ran; no program may, and \
                           `matssl-run cache verify` sets aside what is damaged";
            return Err(anyhow!("`{}` {message} ({})", self.command[0], object.display()).into());
        }
        self.collect(&folder, &context.out)
    }
}

impl Command {
    fn words(&self) -> impl Iterator<Item = &String> {
        self.command.iter().chain(&self.arguments)
    }

    /// Runs the program in `folder` to its end.
    fn start(&self, context: &Context, folder: &Path) -> Result<Ended, StageError> {
        let (seed, threads) = (context.seed.to_string(), context.threads.to_string());
        let filled = |word: &String| word.replace(SEED, &seed).replace(THREADS, &threads);
        let mut words = self.words().map(filled);
        let name = words.next().unwrap_or_default();
        let is_path = Path::new(&name).components().count() > 1;
        // Whether a relative program is looked for before or after the change of folder differs between systems.
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
                StageError::NotThere(format!("no program `{name}` is there; install it, or correct `command`"))
            }
            _ => anyhow!("cannot start `{name}`: {error}").into(),
        })
    }

    /// An error unless it ended well.
    fn judge(&self, ended: &Ended, folder: &Path) -> Result<(), StageError> {
        let name = &self.command[0];
        // Its log, on the same disk, cannot say so.
        let full = match machine::free_space(folder) {
            Some(free) if free < 1 << 20 => format!("; the disk of its folder has {} KiB of space left", free >> 10),
            _ => String::new(),
        };
        match (ended.status.code(), ended.status.signal()) {
            // Whatever it says: what it left may be half of it.
            _ if ended.asked_to_stop => Err(StageError::Stopped(format!("`{name}` was asked to end"))),
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(anyhow!("`{name}` ended with exit code {code}{full}").into()),
            (None, Some(libc::SIGTERM)) => Err(StageError::Stopped(format!("`{name}` was ended by signal 15"))),
            (None, signal) => {
                let message = format!("`{name}` was ended by signal {}{full}", signal.unwrap_or(0));
                Err(StageError::Lost { signal, message })
            }
        }
    }

    /// Moves what is declared from the program's `folder` to `out`.
    fn collect(&self, folder: &Path, out: &Path) -> Result<(), StageError> {
        let mut all = BTreeSet::new();
        for output in &self.outputs {
            let mut wanted = BTreeSet::new();
            let path = folder.join(output);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_file() => drop(wanted.insert(PathBuf::from(output))),
                Ok(found) if found.is_symlink() => {
                    return Err(anyhow!("its output {output} is a link; it must write a file of its own").into());
                }
                Ok(_) => files_in(folder, Path::new(output), None, &mut wanted)?,
                Err(_) => {
                    let matcher = pattern(output).map_err(|error| anyhow!("`{output}`: {error}"))?;
                    files_in(folder, Path::new(""), Some(&matcher), &mut wanted)?;
                    // What it was shown is not what it left.
                    let shown = |path: &PathBuf| {
                        path.starts_with("inputs") || self.files.iter().any(|file| path.starts_with(file))
                    };
                    wanted.retain(|path| !shown(path));
                }
            }
            if wanted.is_empty() {
                let cure = "let it write that, or correct `outputs`";
                return Err(anyhow!("`{}` ended well but left no {output}; {cure}", self.command[0]).into());
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

/// What to call the GPU `device` in the program's `CUDA_VISIBLE_DEVICES`; none if it is the CPU.
///
/// # Errors
/// If this process's own list has no such GPU.
fn visible_gpu(device: DeviceName) -> Result<Option<String>, StageError> {
    let inherited = std::env::var_os(visible::VARIABLE);
    let inherited = inherited.as_ref().map(|list| list.to_string_lossy());
    let entry = |ordinal| visible::entry(inherited.as_deref(), ordinal);
    match device {
        DeviceName::Cpu => Ok(None),
        DeviceName::Cuda(ordinal) => entry(ordinal).map(Some).map_err(StageError::NotThere),
        // There may be more of these than the list has entries.
        DeviceName::Pretended(ordinal) => Ok(Some(entry(ordinal).unwrap_or_else(|_| ordinal.to_string()))),
    }
}

/// Size, and when its content last changed.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}

fn pattern(output: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(output).literal_separator(true).build()?.compile_matcher())
}

/// Relative, and not out of the folder again.
fn is_inside(path: &Path) -> bool {
    path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// The files at or below `path`, called `name`.
///
/// # Errors
/// What could not be read, or is no file (reading a pipe would wait for ever), and why.
fn below(path: &Path, name: &Path, files: &mut ExternalFiles) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |error| (path.to_owned(), error);
    let text = |path: &Path, name: &Path| match name.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err((path.to_owned(), std::io::Error::other("its name is no UTF-8"))),
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
        // What Python leaves where it ran is no part of a program.
        if entry.file_name() == "__pycache__" {
            continue;
        }
        // Ten thousand files are not asked one by one for what the folder says of them.
        if entry.file_type().map_err(at)?.is_file() {
            files.push((text(&path, &name)?, path));
        } else {
            below(&path, &name, files)?;
        }
    }
    Ok(())
}

/// The regular files at or below `folder`/`at`, links left out; those that the pattern matches, if there is one.
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

/// Shows what a stage left below `inputs/<label>`; of a data set also its images, as `source`.
fn show_input(input: &InputFiles, scratch: &Scratch) -> anyhow::Result<()> {
    if !is_inside(Path::new(&input.label)) {
        anyhow::bail!("`{}` cannot name a folder; give this input another label", input.label);
    }
    let folder = scratch.folder().join("inputs").join(&input.label);
    for (name, object) in &input.files {
        let shown = folder.join(name);
        scratch.make_folder(shown.parent().unwrap_or(&folder))?;
        // A second name of the object, where the system allows that: a symbolic link to so long a path takes up a block.
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

/// Larger files are not copied but linked to: those of data, not of programs.
const LARGE: u64 = 64 << 20;

/// Shows a file of the user's: a program may write to what it sees, and one in Python looks for others beside it, so it sees
/// a copy (which shares its blocks with the file where the file system can).
fn copy(file: &Path, name: &Path, scratch: &Scratch) -> anyhow::Result<()> {
    if fs::metadata(file).is_ok_and(|file| file.len() > LARGE) {
        return link(file, name, scratch);
    }
    scratch.make_folder(name.parent().unwrap_or(name))?;
    fs::copy(file, name).with_context(|| format!("cannot show {} to the program", file.display()))?;
    Ok(())
}

fn link(target: &Path, name: &Path, scratch: &Scratch) -> anyhow::Result<()> {
    scratch.make_folder(name.parent().unwrap_or(name))?;
    let made = std::os::unix::fs::symlink(target, name);
    made.with_context(|| format!("cannot show {} to the program", target.display()))
}
