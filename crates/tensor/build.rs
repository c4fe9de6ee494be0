//! Compiles the GPU kernels for the feature `cuda`, and writes what stands in for CUDA's libraries.

use std::collections::BTreeSet;
use std::env::var;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    for path in ["build.rs", "src/ops/gpu"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let known = |name: &str| var(name).unwrap_or_else(|_| "unknown".into());
    if var("CARGO_FEATURE_CUDA").is_ok() {
        let out = known("OUT_DIR");
        for variable in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "LIBRARY_PATH"] {
            println!("cargo::rerun-if-env-changed={variable}");
        }
        compile_kernels(Path::new(&out));
        write_stand_ins(Path::new(&out), &known("CARGO_CFG_TARGET_ARCH"));
    }
}

/// To PTX, which the driver translates for the GPU that it finds: of the Ampere generation (8.0) or later, for bfloat16.
fn compile_kernels(out: &Path) {
    println!("cargo::rerun-if-env-changed=NVCC");
    let nvcc = var("NVCC").unwrap_or_else(|_| "nvcc".into());
    let mut command = Command::new(&nvcc);
    command.args(["-ptx", "-arch=compute_80", "-std=c++17", "-O3", "src/ops/gpu/kernels.cu", "-o"]);
    match command.arg(out.join("kernels.ptx")).status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{nvcc} could not compile src/ops/gpu/kernels.cu ({status}): its messages are above"),
        Err(error) => panic!(
            "the feature `cuda` needs CUDA's compiler, and {nvcc} cannot be run ({error}): install CUDA 13, or name the \
             compiler in NVCC"
        ),
    }
}

/// CUDA's libraries: what the linker calls them, the file that a driver or toolkit brings, and what its functions return for an
/// unknown or internal error: it must be a value of cudarc's type of it.
const LIBRARIES: [(&str, &str, u16); 6] = [
    ("cuda", "libcuda.so.1", 999),
    ("cudart", "", 999),
    ("cublas", "libcublas.so.13", 14),
    ("cublasLt", "libcublasLt.so.13", 14),
    ("curand", "libcurand.so.10", 999),
    ("cudnn", "libcudnn.so.9", 4000),
];

/// Writes Rust that stands in for every function of those libraries with a jump through a table, which the program fills
/// when it opens the libraries itself. candle would link them, and a program that links a missing library does not even
/// start to say so. Until then functions return 999, CUDA's "unknown error"; those of the runtime (`cudart`), which only
/// candle's kernels for mixtures of experts use, always: registering them, which happens before `main`, does nothing. They
/// are hidden: the libraries must find each other's functions, not these.
fn write_stand_ins(out: &Path, architecture: &str) {
    assert!(architecture == "x86_64", "the feature `cuda` supports x86-64 only: the jumps are written in its assembly");
    let (mut jumps, mut libraries, mut entries) = (String::new(), String::new(), Vec::new());
    for (name, file, error) in LIBRARIES {
        let Some(path) = library(name) else {
            println!("cargo::warning=lib{name}.so is linked: the program will not start where it is missing");
            continue;
        };
        println!("cargo::rerun-if-changed={}", path.display());
        let (first, symbols) = (entries.len(), functions(&path));
        for symbol in &symbols {
            let (number, place) = (entries.len() + 1, 8 * entries.len());
            let _ = writeln!(
                jumps,
                "\".globl {symbol}\", \".hidden {symbol}\", \"{symbol}: movl ${number}, %r11d\", \
                 \"jmp *{{table}}+{place}(%rip)\","
            );
            entries.push(if symbol.starts_with("__") { "zero".into() } else { format!("matssl_lacking_{error}") });
        }
        if !file.is_empty() {
            let _ = writeln!(libraries, "    Library {{ file: {file:?}, first: {first}, symbols: &{symbols:?} }},");
        }
    }
    let (count, table) =
        (entries.len(), entries.iter().map(|first| format!("Entry::new({first}),")).collect::<String>());
    let mut lacking = String::new();
    for error in BTreeSet::from(LIBRARIES.map(|(.., error)| error)) {
        let name = format!("matssl_lacking_{error}");
        let _ = writeln!(
            lacking,
            "\".globl {name}\", \".hidden {name}\", \"{name}: movl %r11d, {{lacking}}(%rip)\", \"movl ${error}, %eax\", \
             \"ret\","
        );
    }
    let code = format!(
        "static LIBRARIES: &[Library] = &[\n{libraries}];\n\
         static TABLE: [Entry; {count}] = [{table}];\n\
         core::arch::global_asm!({lacking} {jumps} lacking = sym LACKING, table = sym TABLE, options(att_syntax));\n"
    );
    let path = out.join("stand_ins.rs");
    if let Err(error) = std::fs::write(&path, code) {
        panic!("cannot write {}: {error}", path.display());
    }
}

/// The file `lib<name>.so` of the toolkit.
fn library(name: &str) -> Option<PathBuf> {
    let homes = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].into_iter().filter_map(|home| var(home).ok());
    let homes = homes.chain(["/usr/local/cuda".to_owned()]).map(PathBuf::from);
    let inside = homes.flat_map(|home| ["lib64", "lib64/stubs", "lib", "lib/stubs"].map(|folder| home.join(folder)));
    let paths = var("LIBRARY_PATH").unwrap_or_default();
    let usual = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib"].map(PathBuf::from);
    let folders = inside.chain(std::env::split_paths(&paths)).chain(usual);
    folders.map(|folder| folder.join(format!("lib{name}.so"))).find(|path| path.exists())
}

/// The functions of CUDA's that a library has.
fn functions(library: &Path) -> Vec<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output();
    let output = output.unwrap_or_else(|error| panic!("the feature `cuda` needs nm, of binutils: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let symbols = text.lines().filter_map(|line| {
        // Address, kind, name with its version.
        let (kind, name) = line.rsplit_once(' ').and_then(|(rest, name)| Some((rest.rsplit_once(' ')?.1, name)))?;
        let name = name.split('@').next().unwrap_or(name);
        (matches!(kind, "T" | "W" | "i") && (name.starts_with("cu") || name.starts_with("__cuda")))
            .then(|| name.to_owned())
    });
    let mut symbols: Vec<String> = symbols.collect();
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}
