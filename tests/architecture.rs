//! The house rules that a compiler does not hold: imports go down only, and nothing but `cli` prints.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the street door down; a room may import from its own line and from lines below it that it is allowed.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["exec", "doctor"],
    &["plan"],
    &["stage"],
    &["train", "ssl", "report"],
    &["data", "nn", "metrics"],
    &["experiment", "cache", "machine", "random", "exit_code"],
    &["units"],
];

/// Of the leaves, these stay free of tensors and of each other.
const LEAVES: &[&str] = &["experiment", "cache", "machine", "random", "exit_code"];

fn layer(room: &str) -> usize {
    LAYERS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("src/{room} is in no layer: say in tests/architecture.rs where it belongs"))
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

/// (room, file, code without tests and comments)
fn rooms() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files.sort();
    files
        .into_iter()
        .filter_map(|path| {
            let inside = path.strip_prefix(&src).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let room = first.trim_end_matches(".rs").to_owned();
            let test = inside.components().any(|part| part.as_os_str().to_string_lossy().starts_with("test"));
            if room == "lib" || room == "main" || test {
                return None;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            Some((room, inside.to_owned(), code.join("\n")))
        })
        .collect()
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for (room, file, code) in rooms() {
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            let target: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if target == room || target.is_empty() {
                continue;
            }
            let (from, to) = (layer(&room), layer(&target));
            // Side by side only where the design says so: the loop trains the methods.
            let beside = from == to && (room == "train" && target == "ssl");
            let leaves = LEAVES.contains(&room.as_str()) && target != "units";
            if !(to > from || beside) || leaves {
                wrong.push(format!("src/{}: `{room}` imports `{target}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn front_end_and_cache_know_no_tensors() {
    for (room, file, code) in rooms() {
        assert!(
            !LEAVES.contains(&room.as_str()) || !code.contains("candle"),
            "src/{} uses candle: the leaf `{room}` must not",
            file.display()
        );
    }
}

#[test]
fn only_the_command_line_prints() {
    for (room, file, code) in rooms() {
        // The worker speaks to the run over its standard output, as lines of JSON, not by these.
        for word in ["println!", "print!(", "eprintln!", "eprint!(", "dbg!"] {
            assert!(room == "cli" || !code.contains(word), "src/{} uses {word}: only src/cli prints", file.display());
        }
    }
}
