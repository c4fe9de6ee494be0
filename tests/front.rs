//! The front end: the schema, the completions, `new`, experiments that extend others, the log.

mod common;
use common::{Project, TOY};
use matssl_run::{exit_code, experiment, stage};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "front/errors.rs"]
mod errors;
#[path = "front/fuzzed.rs"]
mod fuzzed;
#[path = "front/validator.rs"]
mod validator;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tomls(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(root().join(folder)).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// TOML as JSON.
fn as_json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn the_schema_accepts_what_the_program_accepts() {
    let schema: Value = serde_json::from_str(&Project::new("").run(&["schema"]).ok().stdout).unwrap();
    let accepts = |what: &str, text: &str| {
        let faults = validator::faults(&schema, &as_json(text));
        assert!(faults.is_empty(), "{what}: {faults:#?}");
    };
    for path in tomls("experiments") {
        accepts(&path.display().to_string(), &fs::read_to_string(&path).unwrap());
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // A site file is no experiment.
    for block in blocks.filter(|block| !block.starts_with("[remote]")) {
        // A part of an experiment has no name of its own.
        let whole = block.starts_with("name") || block.starts_with("extends");
        accepts("README", &if whole { block.to_owned() } else { format!("name = \"part\"\n{block}") });
    }
    accepts("new", include_str!("../src/cli/new/folder.toml"));
    // The corpus has what the experiments lack: limits, `include`, `exclude`, tables of labels, `extends`.
    for path in tomls("fuzz/corpus/experiment") {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).replace('\u{feff}', "");
        if experiment::load(&path, &[], stage::KINDS).is_ok() {
            accepts(&path.display().to_string(), &text);
        }
    }
    let quickstart = as_json(include_str!("../experiments/quickstart.toml"));
    for (place, value) in [
        ("/stages/ssl/views", json!("paper")),
        ("/stages/ssl/views", json!({ "preset": "moco-v2", "hue": 0.2 })),
        ("/stages/ssl/method", json!("byol")),
        ("/stages/ssl/patches", json!({ "a": ["b", "c"], "d": "e" })),
        ("/stages/segment/augment", json!("none")),
        ("/tables/0/rows", json!(["test.*"])),
        ("/figures", json!([{ "file": "c", "kind": "confusion", "rows": ["test.*"] }])),
        ("/figures", json!([{ "file": "r", "kind": "reliability", "rows": { "a": "test.a" } }])),
        ("/files", json!([{ "file": "f", "rows": ["test.*"], "names": ["per_image.csv"] }])),
        ("/overlays/0/pixel_size", json!("0.05 µm")),
        ("/overlays/0/pixel_size", json!({ "*": "0.05 µm", "a": "5 µm / 504 px" })),
        (
            "/data_tables",
            json!([{ "file": "d", "rows": { "a": ["micrographs", "patches"] },
                "patches": { "a": { "size": 64, "edges": ["shift"] } }, "published": { "a": "table1.uhcs" } }]),
        ),
    ] {
        let mut changed = quickstart.clone();
        *pointer(&mut changed, place) = value;
        assert_eq!(validator::faults(&schema, &changed), [""; 0], "{place}");
    }
}

/// Checked once with Python's `jsonschema` 4.26 too (`Draft202012Validator`): it refuses and accepts the same.
#[test]
fn the_schema_refuses_misspelt_keys_and_wrong_types() {
    let schema: Value = serde_json::from_str(&Project::new("").run(&["schema"]).ok().stdout).unwrap();
    let quickstart = as_json(include_str!("../experiments/quickstart.toml"));
    for (place, value) in [
        ("/titel", json!("x")),
        ("/seeds", json!(3)),
        ("/seeds", json!([-1])),
        ("/name", json!("../x")),
        ("/stages/ssl/epoch", json!(3)),
        ("/stages/ssl/epochs", json!("3")),
        ("/stages/ssl/epochs", json!(0)),
        ("/stages/ssl/kind", json!("pretrai")),
        ("/stages/ssl/method/temprature", json!(0.1)),
        ("/stages/ssl/method/gate", json!("papr")),
        ("/stages/ssl/method/name", json!("dino")),
        ("/stages/ssl/method/head", json!({ "hiden": 3 })),
        ("/stages/ssl/encoder/arch", json!("resnet19")),
        ("/stages/ssl/encoder/wdth", json!(16)),
        ("/stages/ssl/optimizer/nam", json!("sgd")),
        ("/stages/ssl/schedule/name", json!("cosin")),
        ("/stages/ssl/views", json!("papr")),
        ("/stages/ssl/views", json!({ "brightnes": 0.1 })),
        ("/stages/ssl/timeout", json!("2 hours")),
        ("/stages/ssl/retries", json!(101)),
        ("/stages/ssl/memory", json!(4)),
        ("/stages/segment/decoder_channels", json!([1, 2, 3])),
        ("/stages/segment/matrix/encodr", json!(["ssl"])),
        ("/stages/segment/matrix/epochs", json!(["three"])),
        ("/stages/patches/dataset", json!(["micrographs"])),
        ("/stages/micrographs/sise", json!(64)),
        ("/datasets", json!({ "d": { "format": "floder", "path": "d" } })),
        ("/datasets", json!({ "d": { "format": "folder", "pth": "d" } })),
        ("/tables/0/row", json!("x")),
        ("/figures/0/kind", json!("pie")),
        ("/figures", json!([{ "file": "c", "kind": "confusion", "row": ["test.*"] }])),
        ("/files", json!([{ "file": "f", "rows": ["test.*"], "names": "per_image.csv" }])),
        ("/overlays/0/rows", json!(3)),
        ("/overlays/0/pixel_size", json!(0.05)),
        ("/data_tables", json!([{ "file": "d", "rows": "micrographs", "published": { "a": "table1.uchs" } }])),
        ("/data_tables", json!([{ "file": "d", "rows": "micrographs", "patches": { "a": { "size": "64" } } }])),
        (
            "/data_tables",
            json!([{ "file": "d", "rows": "micrographs", "patches": { "a": { "size": 64, "edges": ["crop"] } } }]),
        ),
    ] {
        let mut changed = quickstart.clone();
        *pointer(&mut changed, place) = value.clone();
        assert!(!validator::faults(&schema, &changed).is_empty(), "{place} = {value} is accepted");
    }
}

/// The value at `path`, created if it is missing.
fn pointer<'v>(value: &'v mut Value, path: &str) -> &'v mut Value {
    path[1..].split('/').fold(value, |value, step| match step.parse::<usize>() {
        Ok(index) => &mut value[index],
        Err(_) => &mut value[step],
    })
}

#[test]
fn completions_know_the_verbs_and_flags() {
    let project = Project::new("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.run(&["completions", shell]).ok().stdout;
        for word in ["matssl-run", "explain", "completions", "cache"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    assert_eq!(project.run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn new_writes_a_valid_experiment() {
    let project = Project::new("");
    for (args, kinds) in
        [(&["new", "my-steel"][..], "dataset"), (&["new", "first.try", "--template", "quickstart"], "synthesize")]
    {
        let file = format!("{}.toml", args[1]);
        let done = project.run(args).ok();
        assert_eq!((done.stdout.lines().count(), done.stderr.as_str()), (4, ""), "{}", done.stdout);
        assert!(done.stdout.contains(&format!("matssl-run plan {file}")), "{}", done.stdout);
        let experiment = experiment::load(&project.path(&file), &[], stage::KINDS).unwrap();
        assert_eq!(experiment.name, args[1]);
        assert_eq!(experiment.instances[0].kind.name, kinds);
        let plan = project.run(&["plan", &file]).ok().stdout;
        assert!(plan.contains("tables.table"), "{plan}");
    }
    let before = project.files(".");
    let again = project.run(&["new", "my-steel"]);
    assert_eq!(again.code, Some(i32::from(exit_code::BAD_EXPERIMENT)));
    assert_eq!(again.stderr, "error: my-steel.toml exists already; choose another name\n");
    for name in ["", "../x", ".x", "a b", "a/b", "ä"] {
        let refused = project.run(&["new", name]);
        assert_eq!(refused.code, Some(i32::from(exit_code::BAD_EXPERIMENT)), "{name}");
        assert!(refused.stderr.contains("cannot name an experiment"), "{name}: {}", refused.stderr);
    }
    assert_eq!(project.files("."), before);
}

#[test]
fn an_ablation_is_planned_from_its_base() {
    let project = Project::new(TOY);
    let text = "name = \"hot\"\nextends = \"experiment.toml\"\n[stages.ssl]\nmethod = { temperature = 0.5 }\n";
    project.write("hot.toml", text);
    let stages = |file: &str| {
        let plan: Value = serde_json::from_str(&project.run(&["plan", file, "--json"]).ok().stdout).unwrap();
        plan["stages"].as_array().unwrap().clone()
    };
    let (base, hot) = (stages("experiment.toml"), stages("hot.toml"));
    for (base, hot) in base.iter().zip(&hot) {
        assert_eq!(base["stage"], hot["stage"]);
        assert_eq!(base["params"] == hot["params"], base["kind"] != "pretrain", "{hot}");
    }
    // What is wrong with the base is shown there.
    project.edit("epochs = 3\nbatch_size = 8", "epoch = 3\nbatch_size = 8");
    let refused = project.run(&["plan", "hot.toml"]);
    assert_eq!(refused.code, Some(i32::from(exit_code::BAD_EXPERIMENT)));
    assert!(refused.stderr.contains("--> experiment.toml:"), "{}", refused.stderr);
}

#[test]
fn limits_are_not_part_of_a_key() {
    let project = Project::new(TOY);
    let keys = |flags: &[&str]| {
        let mut args = vec!["plan", "experiment.toml", "--json"];
        args.extend(flags);
        let plan: Value = serde_json::from_str(&project.run(&args).ok().stdout).unwrap();
        let key = |stage: &Value| (stage["stage"].clone(), stage["key"].clone(), stage["params"].clone());
        plan["stages"].as_array().unwrap().iter().map(key).collect::<Vec<_>>()
    };
    let limits =
        ["--set", "stages.micrographs.timeout=2 h", "--set", "stages.ssl.threads=1", "--set", "stages.ssl.memory=4GiB"];
    assert!(keys(&[])[0].1.is_string());
    assert_eq!(keys(&[]), keys(&limits));
}

/// `cargo test --release --test front -- --ignored --nocapture how_long`
#[test]
#[ignore = "prints times"]
fn how_long_it_takes_to_read() {
    let family = |n: usize| match (n / 10, n % 10) {
        (chain, 0) => format!("[stages.c{chain}-s0]\nkind = \"synthesize\"\nsize = {}\n", 16 + n),
        (chain, step) => {
            format!(
                "[stages.c{chain}-s{step}]\nkind = \"patchify\"\ndataset = \"c{chain}-s0\"\nsize = {}\n",
                8 + n % 99
            )
        }
    };
    for count in [1_000, 10_000] {
        let text = "name = \"many\"\n".to_string() + &(0..count).map(family).collect::<String>();
        let project = Project::new(&text);
        let mut times: Vec<f64> = (0..21)
            .map(|_| {
                let start = std::time::Instant::now();
                let experiment = experiment::load(&project.path("experiment.toml"), &[], stage::KINDS).unwrap();
                let time = start.elapsed().as_secs_f64();
                assert_eq!(experiment.instances.len(), count);
                time
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{count} families: {:.1} ms (median of 21), least {:.1} ms", times[10] * 1e3, times[0] * 1e3);
    }
}

#[test]
fn the_log_says_what_was_read_and_why_a_stage_would_run() {
    let project = Project::new(TOY);
    project.run(&["experiment.toml", "--only", "ssl@0", "--quiet"]).ok();
    let plan = |variables: &[(&str, &str)], args: &[&str]| {
        let set = ["experiment.toml", "--set", "stages.ssl.method.temperature=0.1"];
        let done = project.run_with(variables, &[args, &set].concat()).ok();
        assert!(done.stdout.starts_with("toy: 15 stages"), "results are on standard output alone: {}", done.stdout);
        done.stderr
    };
    assert_eq!(plan(&[], &["plan"]), "");
    let logged = plan(&[], &["-v", "plan"]);
    let line =
        |part: &str| logged.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {logged}"));
    assert!(line("read the experiment").contains("experiment.toml") && line("opened").contains("cache"), "{logged}");
    assert!(line("stage=ssl@0").contains("method.temperature: 0.07 → 0.1"), "{logged}");
    assert!(line("stage=patches").contains("state=\"cached\""), "{logged}");
    assert!(!logged.contains('\u{1b}') && logged.contains(" DEBUG matssl_run::cli"), "{logged}");
    let as_debug = |log: &str| log.lines().filter(|line| line.contains("DEBUG")).count();
    assert_eq!(as_debug(&plan(&[("MATSSL_LOG", "matssl=debug")], &["plan"])), as_debug(&logged));
    assert_eq!(plan(&[("MATSSL_LOG", "matssl=error")], &["plan"]), "");
    let refused = project.run_with(&[("MATSSL_LOG", "matssl=loud")], &["plan", "experiment.toml"]);
    assert_eq!(refused.code, Some(i32::from(exit_code::BAD_EXPERIMENT)), "{}", refused.stderr);
    assert!(refused.stderr.starts_with("error: MATSSL_LOG: `matssl=loud`: "), "{}", refused.stderr);
}

#[test]
fn a_file_in_the_place_of_a_folder_is_refused_before_any_training() {
    let project = Project::new(TOY);
    project.write("file", "");
    for (flag, folder, problem) in [
        ("--cache", "file", "file is a file, not a folder"),
        ("--cache", "file/below", "file/below cannot be made, because file is a file, not a folder"),
        ("--reports", "file", "file is a file, not a folder"),
        ("--reports", "file/below", "file/below cannot be made, because file is a file, not a folder"),
        ("--tensorboard", "file", "file is a file, not a folder"),
    ] {
        let refused = project.run(&["experiment.toml", flag, folder]);
        assert_eq!(refused.code, Some(i32::from(exit_code::BAD_EXPERIMENT)), "{flag} {folder}: {}", refused.stderr);
        assert_eq!(refused.stderr, format!("error: {flag}: {problem}; name another folder\n"));
    }
    for flag in ["--cache", "--reports"] {
        let nowhere = project.run(&["experiment.toml", flag, "/proc/folder"]);
        assert_eq!(nowhere.code, Some(i32::from(exit_code::BAD_EXPERIMENT)), "{}", nowhere.stderr);
    }
}
