//! The build of this program: bits are promised for one build.

use object::Object as _;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit it was built from, with `-dirty` if files differed from it; `None` if it was not built in a clone.
pub const COMMIT: Option<&str> = option_env!("MATSSL_BUILD_COMMIT");
/// Compiler, e.g. `rustc 1.95.0 (59807616e 2026-04-14)`.
pub const COMPILER: &str = env!("MATSSL_BUILD_COMPILER");
/// What it was built for, e.g. `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("MATSSL_BUILD_TARGET");
/// Instructions that the compiler took for granted, e.g. `fxsr,sse,sse2`; kernels chosen at run time use more.
pub const TARGET_FEATURES: &str = env!("MATSSL_BUILD_TARGET_FEATURES");
/// Profile and level of optimisation, e.g. `release, opt-level 3`.
pub const PROFILE: &str = env!("MATSSL_BUILD_PROFILE");

/// The file of this very program. On Linux the one that runs, even if another was built in its place meanwhile.
///
/// # Errors
/// If the system does not say.
pub fn executable() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_path_buf()) } else { std::env::current_exe() }
}

/// What the linker wrote into this program to tell builds apart (ELF's build ID, Mach-O's UUID), in hexadecimal digits;
/// it stays when the program is stripped.
pub fn build_id() -> Option<String> {
    let file = object::ReadCache::new(File::open(executable().ok()?).ok()?);
    let program = object::File::parse(&file).ok()?;
    let uuid = || program.mach_uuid().ok().flatten().map(|uuid| uuid.to_vec());
    let id = program.build_id().ok().flatten().map(<[u8]>::to_vec).or_else(uuid)?;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}
