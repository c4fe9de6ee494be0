//! Tells the program which build it is, which may not fail a build: what cannot be found out is left out.

use std::env::var;
use std::process::Command;

fn main() {
    // With the sources, not with every commit: a build knows what it was built from.
    for path in ["src", "crates", "build.rs", "Cargo.toml", "Cargo.lock"] {
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
