//! The documents agree with the program.

mod common;
use common::Project;
use matssl_run::{exit_code, experiment, stage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn experiments() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("experiments")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files
}

#[test]
fn every_experiment_is_accepted_and_named_like_its_file() {
    for path in experiments() {
        let experiment =
            experiment::load(&path, &[], stage::KINDS).unwrap_or_else(|wrong| panic!("{}:\n{wrong}", path.display()));
        assert_eq!(Some(experiment.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
        for instance in &experiment.instances {
            // A worker decodes the JSON of what the run decoded from the file.
            let decoded = (instance.kind.decode)(&instance.params);
            let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error}", instance.name));
            assert_eq!(format!("{decoded:?}"), format!("{:?}", instance.stage), "{}", instance.name);
        }
    }
}

#[test]
fn every_experiment_is_planned_on_a_fresh_clone_without_data() {
    let project = Project::new("");
    // One may extend another, so all are there.
    for path in experiments() {
        project.write(path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
    }
    for path in experiments() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let plan = project.run(&["plan", name]).ok().stdout;
        // The tables of data train nothing.
        let trains = plan.contains("finetune") && plan.contains(" tables.");
        assert!(trains || plan.contains("data_tables.table"), "{plan}");
    }
}

/// The file that few-labels.toml shows for data of one's own.
#[test]
fn the_five_lines_of_few_labels_are_an_experiment() {
    let project = Project::new("");
    let base = fs::read_to_string(root().join("experiments/few-labels.toml")).unwrap();
    let lines: Vec<&str> =
        base.lines().map_while(|line| line.strip_prefix('#')).filter_map(|l| l.strip_prefix("   ")).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    project.write("few-labels.toml", &base);
    project.write("my-labels.toml", lines.join("\n"));
    let plan = project.run(&["plan", "my-labels.toml"]).ok().stdout;
    assert!(plan.contains("my-labels: ") && plan.contains("figures.labels"), "{plan}");
}

/// The experiment to which the README's stage of kind `command` belongs.
const PATCHES: &str = r#"
name = "part"
[stages.micrographs]
kind = "synthesize"
[stages.patches]
kind = "patchify"
dataset = "micrographs"
size = 64
"#;

#[test]
fn the_readmes_experiment_is_accepted() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    // A site file, which is no experiment.
    blocks.retain(|block| !block.starts_with("[remote]"));
    // The others are parts of experiments.
    let (whole, parts): (Vec<&str>, Vec<&str>) = blocks.into_iter().partition(|block| block.starts_with("name"));
    assert!(!whole.is_empty() && parts.len() == 4);
    for block in parts {
        let project =
            Project::new(&if block.starts_with("extends") { block.to_owned() } else { format!("{PATCHES}\n{block}") });
        project.write("quickstart.toml", fs::read(root().join("experiments/quickstart.toml")).unwrap());
        project.write("baseline.py", "");
        project.run(&["plan", "experiment.toml"]).ok();
    }
    for block in whole {
        let project = Project::new(block);
        // Nothing but the data set is missing.
        let done = project.run(&["experiment.toml"]);
        assert_eq!(done.code, Some(i32::from(exit_code::NOT_THERE)), "{}", done.stderr);
    }
}

/// The command lines of this program in `text`: lines of shell blocks, and what stands in backticks.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let shell = line.strip_prefix("cargo run --release -- ").map(|rest| format!("matssl-run {rest}"));
        let shell = shell.or_else(|| line.starts_with("matssl-run ").then(|| line.to_owned()));
        match shell {
            Some(line) => found.push(line.split('#').next().unwrap().trim().to_owned()),
            None => found.extend(
                line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("matssl-run ")).map(str::to_owned),
            ),
        }
    }
    found
}

/// The flags that `--help` of a verb (of several words, or none) lists.
fn flags(project: &Project, verb: &[&str]) -> BTreeSet<String> {
    let help = project.run(&[verb, &["--help"]].concat()).ok().stdout;
    let listed = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let words = listed.flat_map(|line| line.split_whitespace().take_while(|word| word.starts_with('-')));
    words.map(|word| word.trim_end_matches(',').to_owned()).collect()
}

#[test]
fn the_readmes_verbs_and_flags_exist() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let project = Project::new("");
    let help = project.run(&["--help"]).ok().stdout;
    let verbs: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(["run", "cache", "doctor"].iter().all(|verb| verbs.contains(verb)), "{verbs:?}");
    let mut known: BTreeMap<Vec<&str>, BTreeSet<String>> = BTreeMap::new();
    let (commands, mut checked) = (commands(&readme), 0);
    for command in &commands {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let verb = match &words[..] {
            [verb @ "cache", part, ..] => vec![*verb, *part],
            [verb, ..] if verbs.contains(verb) => vec![*verb],
            [word, ..] => {
                assert!(
                    *word == "FILE" || word.ends_with(".toml") || word.starts_with("--"),
                    "{command}: no verb {word}"
                );
                vec!["run"]
            }
            [] => continue,
        };
        let flags = known.entry(verb.clone()).or_insert_with(|| flags(&project, &verb));
        for word in words.iter().filter(|word| word.starts_with('-')) {
            let flag = word.split('=').next().unwrap();
            assert!(flags.contains(flag), "{command}: {verb:?} has no flag {flag}, but {flags:?}");
            checked += 1;
        }
    }
    assert!(checked >= 20 && known.len() >= 10, "{checked} flags of {:?}", known.keys());
}

#[test]
fn the_readme_lists_the_exit_codes() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let codes = readme.split("\n## Exit codes\n").nth(1).unwrap().split("\n## ").next().unwrap();
    for code in [
        exit_code::DONE,
        exit_code::INTERNAL,
        exit_code::BAD_EXPERIMENT,
        exit_code::STAGE_FAILED,
        exit_code::NOT_THERE,
        exit_code::BAD_DATA,
        exit_code::INTERRUPTED,
    ] {
        assert!(codes.contains(&format!("| {code} |")), "exit code {code} is not in the README");
    }
}

#[test]
fn every_file_and_room_the_architecture_names_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rooms = text.lines().filter(|line| line.starts_with("| `src/") || line.starts_with("| `crates/"));
    assert!(rooms.clone().count() >= 10);
    for line in rooms {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let room = cells[1].trim_matches('`');
        for file in cells[3].split(", ").map(|file| file.trim_matches('`')) {
            assert!(root().join(room).join(file).exists(), "{room}: no {file}");
        }
    }
}
