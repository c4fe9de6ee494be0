//! Tells the program which build it is, which may not fail a build: what cannot be found out is left out. And compiles
//! the GPU kernels for the feature `cuda`, which may.

use std::env::var;
use std::path::Path;
use std::process::Command;

fn main() {
    // With the sources, not with every commit: a build knows what it was built from.
    for path in ["src", "build.rs", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let known = |name: &str| var(name).unwrap_or_else(|_| "unknown".into());
    if let Some(commit) = commit() {
        println!("cargo::rustc-env=MATSSL_BUILD_COMMIT={commit}");
    }
    let compiler = said(&known("RUSTC"), &["--version"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=MATSSL_BUILD_COMPILER={compiler}");
    println!("cargo::rustc-env=MATSSL_BUILD_TARGET={}", known("TARGET"));
    println!("cargo::rustc-env=MATSSL_BUILD_TARGET_FEATURES={}", known("CARGO_CFG_TARGET_FEATURE"));
    println!("cargo::rustc-env=MATSSL_BUILD_PROFILE={}, opt-level {}", known("PROFILE"), known("OPT_LEVEL"));
    if var("CARGO_FEATURE_CUDA").is_ok() {
        compile_kernels(Path::new(&known("OUT_DIR")));
    }
}

/// To PTX, which the driver translates for the GPU that it finds: of the Ampere generation (8.0) or later, for bfloat16.
fn compile_kernels(out: &Path) {
    println!("cargo::rerun-if-env-changed=NVCC");
    let nvcc = var("NVCC").unwrap_or_else(|_| "nvcc".into());
    let mut command = Command::new(&nvcc);
    command.args(["-ptx", "-arch=compute_80", "-std=c++17", "-O3", "src/nn/ops/gpu/kernels.cu", "-o"]);
    match command.arg(out.join("kernels.ptx")).status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{nvcc} could not compile src/nn/ops/gpu/kernels.cu ({status}): its messages are above"),
        Err(error) => panic!(
            "the feature `cuda` needs CUDA's compiler, and {nvcc} cannot be run ({error}): install CUDA 13, or name the \
             compiler in NVCC"
        ),
    }
}

/// The commit of this very folder; none for sources that lie inside a clone of something else.
fn commit() -> Option<String> {
    let prefix = said("git", &["rev-parse", "--show-prefix"])?;
    if prefix.is_empty() {
        said("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
    } else {
        None
    }
}

/// First line of what a command prints, if it ends well.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    // Reading must not take a lock that a commit at the same time would want.
    let output = Command::new(program).args(arguments).env("GIT_OPTIONAL_LOCKS", "0").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}
