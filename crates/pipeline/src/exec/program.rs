//! The program that uses the engine.

use crate::cache::{Build, Digest, Store};
use crate::stage::Kinds;
use object::Object as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The program that uses the engine: its kinds of stages, and its build, which records name because results are
/// reproducible bit for bit only with one build.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// All kinds of stages.
    pub kinds: &'static Kinds,
    /// Name and version, e.g. `matssl-run 0.1.0`.
    pub name: &'static str,
    /// Commit of the source, with `-dirty` if files differed from it; `None` if not built in a git clone.
    pub commit: Option<&'static str>,
    /// Compiler, e.g. `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub compiler: &'static str,
    /// Target triple, e.g. `x86_64-unknown-linux-gnu`.
    pub target: &'static str,
    /// Instruction sets enabled at compile time, e.g. `fxsr,sse,sse2`; kernels chosen at run time use more.
    pub target_features: &'static str,
    /// Profile and optimisation level, e.g. `release, opt-level 3`.
    pub profile: &'static str,
}

impl Program {
    /// The build for records. Version and commit do not identify a build, because compiler, flags and dependencies
    /// differ. The linker's build ID does, or else the hash of the executable.
    pub(super) fn build(&self, store: &Store) -> Build {
        static BUILD_ID: OnceLock<Option<String>> = OnceLock::new();
        let build_id = BUILD_ID.get_or_init(build_id).clone();
        Build {
            commit: self.commit.map(str::to_owned),
            executable: if build_id.is_none() { executable_digest(store) } else { None },
            build_id,
            compiler: self.compiler.into(),
            target: self.target.into(),
            target_features: self.target_features.into(),
            profile: self.profile.into(),
        }
    }
}

/// The executable of this process; on Linux the running one, even if the file was replaced by a newer build.
fn executable() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_path_buf()) } else { std::env::current_exe() }
}

/// The linker's identifier of this build (ELF build ID, Mach-O UUID) in hexadecimal digits; stripping keeps it.
fn build_id() -> Option<String> {
    let file = object::ReadCache::new(File::open(executable().ok()?).ok()?);
    let program = object::File::parse(&file).ok()?;
    let uuid = || program.mach_uuid().ok().flatten().map(|uuid| uuid.to_vec());
    let id = program.build_id().ok().flatten().map(<[u8]>::to_vec).or_else(uuid)?;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Hash of the executable. It is read once per cache and build: later processes find the hash in the stat index.
fn executable_digest(store: &Store) -> Option<Digest> {
    static OWN: OnceLock<Option<Digest>> = OnceLock::new();
    *OWN.get_or_init(|| hash_executable(store))
}

fn hash_executable(store: &Store) -> Option<Digest> {
    let path = executable().ok()?;
    let name = std::fs::read_link(&path).unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned();
    let root = path.clone();
    store.digests(&root, &[(name.clone(), path)]).ok()?.remove(&name)
}
