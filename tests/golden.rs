//! Keys and bytes that a refactoring must not change: of every stage of a small experiment, as they were written down by
//! `MATSSL_GOLDEN=write cargo test --release --test golden`.
//!
//! Keys of stages without inputs are the same everywhere. Bytes, and the keys of what reads them, are promised for one kind of
//! processor: each kind has a file of its own in `tests/golden/`, and on a kind without one only the former are compared.

mod common;

use common::{Project, TOY};
use matssl_run::machine;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// All kinds of stage that [`TOY`] lacks.
const MORE: &str = r#"
[stages.program]
kind = "command"
command = ["sh", "-c", "echo \"$MATSSL_SEED\" > seed.txt; ls inputs/patches > list.txt"]
inputs = { patches = "patches" }
outputs = ["seed.txt", "list.txt"]

[stages.alike]
kind = "synthesize"
like = "micrographs"
size = 96
unlabeled = 1
train = 1
test = 0
matrix.structure = ["steel", "coating"]

[[data_tables]]
file = "data"
rows = ["micrographs", "patches"]
"#;

/// This machine's kind of processor, as the name of a file.
fn kind() -> String {
    let words = format!("{} {}", machine::cpu_model(), machine::vector_features().join(" "));
    let letters = words.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    letters.collect::<String>().split_whitespace().collect::<Vec<_>>().join("-")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"))
}

/// The keys of stages without inputs; all other keys, and the hashes of all outputs.
fn found(project: &Project) -> [String; 2] {
    let plan = project.run(&["plan", "experiment.toml", "--json"]).ok().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let (mut portable, mut rest) = (String::new(), String::new());
    for stage in plan["stages"].as_array().unwrap() {
        let word = |name: &str| stage[name].as_str().unwrap();
        let inputs = stage["inputs"].as_array().unwrap();
        let to = if inputs.is_empty() { &mut portable } else { &mut rest };
        let seed = stage["seed"].as_u64().map(|seed| format!("@{seed}")).unwrap_or_default();
        writeln!(to, "key {}{seed} {}", word("stage").strip_suffix(&seed).unwrap_or(word("stage")), word("key"))
            .unwrap();
    }
    for (stage, path, digest) in project.outputs() {
        writeln!(rest, "output {stage} {path} {digest}").unwrap();
    }
    [portable, rest]
}

#[test]
fn keys_and_bytes_are_as_they_were() {
    let project = Project::new(&format!("{TOY}{MORE}"));
    project.run(&["experiment.toml"]).ok();
    let found = found(&project);
    for (name, text) in ["portable".to_owned(), kind()].iter().zip(&found) {
        let file = file(name);
        if std::env::var_os("MATSSL_GOLDEN").is_some_and(|word| word == "write") {
            fs::write(&file, text).unwrap();
        }
        let Ok(expected) = fs::read_to_string(&file) else {
            println!("not compared: no bytes were written down for {name}");
            continue;
        };
        let (found, expected): (Vec<_>, Vec<_>) = (text.lines().collect(), expected.lines().collect());
        let changed: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
        assert!(found == expected, "{name}: {} lines differ, e.g. {:?}", changed.len(), changed.first());
    }
}
