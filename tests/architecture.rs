//! The house rules that a compiler does not hold: which crate may depend on which, that imports inside the program go down only,
//! and that nothing but `cli` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates below the program, and those that each may know.
const CRATES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("metrics", &["base"]),
    ("tensor", &["base"]),
    ("pipeline", &["base"]),
    ("data", &["base", "pipeline"]),
    ("report", &["base", "data", "metrics"]),
    ("train", &["base", "data", "metrics", "pipeline", "tensor"]),
];

/// Crates that know neither tensors nor images.
const PLAIN: &[&str] = &["base", "pipeline"];

/// Rooms of the program from the street door down; a room may import from lines below its own. All else are crates.
const LAYERS: &[&[&str]] = &[&["cli"], &["exec", "doctor"], &["plan"], &["stage"], &["machine"]];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
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
        let heavy = ["candle-core", "candle-nn", "image"].iter().find(|heavy| all.contains(**heavy));
        assert!(!PLAIN.contains(name) || heavy.is_none(), "crates/{name} must not depend on {heavy:?}");
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// (file, its code without comments), of those below `folder` that are not tests.
fn code(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    sources(&root().join(folder), &mut files);
    files.sort();
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("test"));
    let inside = files.into_iter().map(|path| path.strip_prefix(root()).unwrap().to_owned());
    let kept = inside.filter(|path| !is_test(path));
    kept.map(|path| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path, lines.join("\n"))
    })
    .collect()
}

/// What comes before a file's tests at its end, if that is where they are.
fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod tests {").next().unwrap_or(code)
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that `code` names behind `crate::`, those in braces too.
fn imported(code: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with('$')) {
        let rest = &code[at + "crate::".len()..];
        let Some(inside) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (index, c) in inside.char_indices() {
            if start {
                found.push(word(&inside[index..]));
            }
            start = c == ',' && depth == 0;
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    found
}

#[test]
fn imports_go_down_only() {
    assert_eq!(imported("use crate::{plan, exec::{a, b}, stage};crate::cli::x"), ["plan", "exec", "stage", "cli"]);
    let mut wrong = Vec::new();
    for (file, code) in code("src") {
        let room = file.components().nth(1).unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some(from) = layer(&room) else {
            assert!(["lib", "main"].contains(&room.as_str()), "src/{room} is in no layer: say where it belongs");
            continue;
        };
        for target in imported(without_tests(&code)).into_iter().filter(|target| *target != room) {
            if layer(&target).is_some_and(|to| to <= from) {
                wrong.push(format!("{}: `{room}` imports `{target}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_prints() {
    for (file, code) in [code("src"), code("crates")].concat() {
        // The harness of a pretended GPU says what it skips. The worker speaks over its standard output, but not by these.
        let is_example = file.iter().any(|part| part == "examples");
        if is_example || file.starts_with("src/cli") || file.ends_with("gpu/pretend.rs") || file.ends_with("build.rs") {
            continue;
        }
        for word in ["println!", "print!(", "eprintln!", "eprint!(", "dbg!"] {
            let prints = without_tests(&code).contains(word);
            assert!(!prints, "{} uses {word}: only src/cli prints", file.display());
        }
    }
}
