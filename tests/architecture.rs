//! The rules that the compiler does not hold: which crate may depend on which, that imports inside the program go down, that
//! files do not use each other in circles, and that nothing but `cli` prints.

#[path = "architecture/modules.rs"]
mod modules;

use modules::Modules;
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The crates below the program, and those that each may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("metrics", &["base"]),
    ("tensor", &["base"]),
    ("pipeline", &["base"]),
    ("remote", &["base", "pipeline"]),
    ("data", &["base"]),
    ("report", &["base", "data", "metrics"]),
    ("train", &["base", "data", "metrics", "tensor"]),
    ("onnx", &["base", "tensor"]),
    ("predict", &["base", "data", "metrics", "report", "tensor", "train"]),
];

/// What crates do without: (the packages, the crates).
const WITHOUT: &[(&[&str], &[&str])] = &[
    (&["candle-core", "candle-nn"], &["base", "metrics", "pipeline", "data", "report", "remote"]),
    (&["image"], &["base", "metrics", "pipeline", "tensor", "remote"]),
    // The network, and what waits for it, stay in one crate.
    (
        &["object_store", "tokio"],
        &["base", "metrics", "pipeline", "data", "report", "tensor", "train", "onnx", "predict"],
    ),
];

/// Rooms of the program from the top down; a room may import from the lines below its own. All else are crates.
const LAYERS: &[&[&str]] = &[&["cli"], &["page", "doctor"], &["lineage", "program"], &["stage"]];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// (name, modules) of the program, `src`, and of each crate.
fn crates() -> Vec<(&'static str, Modules)> {
    let below = CRATES.iter().map(|(name, _)| (*name, root().join("crates").join(name).join("src/lib.rs")));
    let all = below.chain([("src", root().join("src/lib.rs"))]);
    all.map(|(name, file)| (name, Modules::read(&file))).collect()
}

/// Of each package in the workspace, those that it depends on (not only for tests).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let normal = all.filter(|dependency| dependency["kind"].is_null());
        normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    let packages = found["packages"].as_array().unwrap().iter();
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), of(package))).collect()
}

#[test]
fn crates_depend_downwards_only() {
    let found = dependencies();
    let ours = |name: &String| name.strip_prefix("matssl-").filter(|name| *name != "run").map(str::to_owned);
    let known: BTreeSet<String> = found.keys().filter_map(ours).collect();
    assert_eq!(known, CRATES.iter().map(|(name, _)| (*name).to_owned()).collect(), "crates without a line in CRATES");
    for (name, allowed) in CRATES {
        let all = &found[&format!("matssl-{name}")];
        for other in all.iter().filter_map(ours) {
            assert!(allowed.contains(&other.as_str()), "crates/{name} must not depend on crates/{other}");
        }
        for (packages, crates) in WITHOUT {
            let used = packages.iter().find(|package| all.contains(**package));
            assert!(!crates.contains(name) || used.is_none(), "crates/{name} must not depend on {used:?}");
        }
    }
}

/// The room of a file of the program, if it is in one.
fn room(file: &Path) -> Option<String> {
    let first = file.iter().next()?.to_str()?.trim_end_matches(".rs");
    Some(first.to_owned()).filter(|room| !["lib", "main"].contains(&room.as_str()))
}

fn layer(room: &str) -> usize {
    let found = LAYERS.iter().position(|rooms| rooms.contains(&room));
    found.unwrap_or_else(|| panic!("src/{room} is in no layer: say where it belongs"))
}

#[test]
fn imports_go_down_only() {
    let program = Modules::read(&root().join("src/lib.rs"));
    let (uses, mut wrong) = (program.uses(), Vec::new());
    for (file, target) in uses.union(&program.reexports()) {
        let (Some(from), Some(to)) = (room(file), room(target)) else { continue };
        if from != to && layer(&to) <= layer(&from) {
            wrong.push(format!("{}: `{from}` imports `{to}` ({})", file.display(), target.display()));
        }
    }
    assert!(uses.len() > 100 && program.files().filter_map(room).all(|room| layer(&room) < LAYERS.len()));
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

/// (file, file that it uses).
type Uses<'m> = BTreeSet<(&'m Path, &'m Path)>;

/// The circles among the files of a crate.
fn circles<'m>(uses: &Uses<'m>) -> Vec<BTreeSet<&'m Path>> {
    let graph = DiGraphMap::<&Path, ()>::from_edges(uses);
    tarjan_scc(&graph).into_iter().filter(|files| files.len() > 1).map(BTreeSet::from_iter).collect()
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    let mut wrong = Vec::new();
    for (name, modules) in crates() {
        let uses = modules.uses();
        for circle in circles(&uses) {
            let inside = uses.iter().filter(|(from, to)| circle.contains(from) && circle.contains(to));
            let lines: Vec<String> =
                inside.map(|(from, to)| format!("  {} → {}", from.display(), to.display())).collect();
            wrong.push(format!("a circle in {name}:\n{}", lines.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_prints() {
    for (name, modules) in crates() {
        for (file, called) in modules.macros() {
            // The harness of a pretended GPU says what it skips. The worker speaks over its standard output, but not by these.
            let may_print = name == "src" && file.starts_with("cli") || file.ends_with("gpu/pretend.rs");
            let prints = ["println", "print", "eprintln", "eprint", "dbg"].contains(&called);
            assert!(may_print || !prints, "{name}: {} uses {called}!: only src/cli prints", file.display());
        }
    }
}

/// The reader sees a use in every form that the language has for it, and no use in tests.
#[test]
fn uses_are_seen_in_all_their_forms() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; mod c; mod d; pub mod e { pub fn here() {} } pub use a::{one, two as second};");
    write("a.rs", "pub fn one() {} pub fn two() {} pub fn in_text() { format!(\"{}\", crate::b::x()); }");
    write("b/mod.rs", "mod inner; use inner::*; pub fn x() { deep(); crate::e::here(); }");
    write("b/inner.rs", "pub fn deep() { super::super::c::y() }");
    write(
        "c.rs",
        "use crate::{d::{self, z}, second}; pub fn y() { d::z(); z(); second(); println!(\"{}\", dbg!(1)); }",
    );
    write(
        "d.rs",
        "use candle_core::Tensor; pub fn z() {} #[cfg(test)] mod tests { use crate::a; } #[cfg(test)] fn f() { crate::b::x() }",
    );
    let modules = Modules::read(&folder.path().join("lib.rs"));
    let as_text = |uses: Uses| -> Vec<String> {
        uses.iter().map(|(from, to)| format!("{} {}", from.display(), to.display())).collect()
    };
    let uses = ["a.rs b/mod.rs", "b/inner.rs c.rs", "b/mod.rs b/inner.rs", "b/mod.rs lib.rs", "c.rs a.rs", "c.rs d.rs"];
    assert_eq!(as_text(modules.uses()), uses);
    assert_eq!(as_text(modules.reexports()), ["lib.rs a.rs"]);
    let circle: BTreeSet<&Path> = ["a.rs", "b/inner.rs", "b/mod.rs", "c.rs"].map(Path::new).into();
    assert_eq!(circles(&modules.uses()), [circle]);
    let macros: Vec<&str> = modules.macros().filter(|(file, _)| file.ends_with("c.rs")).map(|(_, name)| name).collect();
    assert_eq!(macros, ["dbg", "println"]);
}
