//! The program that an engine is part of.

use crate::cache::{Build, Digest, Store};
use crate::stage::Kinds;
use object::Object as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the engine must know of the program that it is part of: its kinds of stages, and for records which build it is. Bits
/// are promised for one build.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// All kinds of stages.
    pub kinds: &'static Kinds,
    /// Name and version, e.g. `matssl-run 0.1.0`.
    pub name: &'static str,
    /// Commit it was built from, with `-dirty` if files differed from it; `None` if it was not built in a clone.
    pub commit: Option<&'static str>,
    /// Compiler, e.g. `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub compiler: &'static str,
    /// What it was built for, e.g. `x86_64-unknown-linux-gnu`.
    pub target: &'static str,
    /// Instructions that the compiler took for granted, e.g. `fxsr,sse,sse2`; kernels chosen at run time use more.
    pub target_features: &'static str,
    /// Profile and level of optimisation, e.g. `release, opt-level 3`.
    pub profile: &'static str,
}

impl Program {
    /// The build as records hold it. The version alone does not name a build, nor does the commit: compiler, flags and
    /// dependencies differ. What the linker wrote into the program does, or else its own bytes.
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

/// The file of this very program. On Linux the one that runs, even if another was built in its place meanwhile.
fn executable() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_path_buf()) } else { std::env::current_exe() }
}

/// What the linker wrote into this program to tell builds apart (ELF's build ID, Mach-O's UUID), in hexadecimal digits;
/// it stays when the program is stripped.
fn build_id() -> Option<String> {
    let file = object::ReadCache::new(File::open(executable().ok()?).ok()?);
    let program = object::File::parse(&file).ok()?;
    let uuid = || program.mach_uuid().ok().flatten().map(|uuid| uuid.to_vec());
    let id = program.build_id().ok().flatten().map(<[u8]>::to_vec).or_else(uuid)?;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Hash of this program's file, read once a cache and build: later processes find it in the index of files.
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
