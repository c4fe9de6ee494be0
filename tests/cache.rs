//! `cache ls`, `cache verify` and `cache gc` from the command line, alone and beside runs.

mod common;
use common::{Project, TOY};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn object(project: &Project, digest: &str) -> PathBuf {
    project.path(&format!("cache/objects/{}/{}", &digest[..2], &digest[2..]))
}

fn flip(path: &PathBuf) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn ls_lists_records_and_the_next_run_makes_again_what_verify_moved_aside() {
    let project = Project::new(TOY);
    let empty = project.run(&["cache", "ls"]);
    assert_eq!((empty.code, project.path("cache").exists()), (Some(4), false), "{}", empty.stderr);
    assert!(empty.stderr.contains("no cache in cache"), "{}", empty.stderr);
    project.run(&["experiment.toml"]).ok();

    let listed = project.run(&["cache", "ls"]).ok().stdout;
    assert!(listed.lines().last().unwrap().starts_with("15 records of 1 experiment, "), "{listed}");
    assert!(listed.contains("toy/segment.matssl@1") && listed.contains("pretrain"), "{listed}");
    let all = json(&project.run(&["cache", "ls", "--json"]).ok().stdout);
    let records = all["records"].as_array().unwrap();
    let times: Vec<u64> = records.iter().map(|record| record["finished_at"].as_u64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    assert_eq!(records[0]["used_by"], serde_json::json!(["toy"]));
    assert_eq!(json(&project.run(&["cache", "ls", "other", "--json"]).ok().stdout)["records"], serde_json::json!([]));

    let clean = project.run(&["cache", "verify"]).ok().stdout;
    assert!(clean.starts_with("15 records, ") && clean.contains("all intact"), "{clean}");
    let outputs = project.outputs();
    let (_, _, digest) =
        outputs.iter().find(|(stage, path, _)| stage == "toy/ssl@0" && path.ends_with(".safetensors")).unwrap();
    flip(&object(&project, digest));
    let found = project.run(&["cache", "verify", "--quiet"]);
    assert_eq!(found.code, Some(3), "{}", found.stdout);
    assert!(
        found.stdout.contains("of toy/ssl@0: encoder.safetensors") && found.stdout.contains("1 damaged"),
        "{}",
        found.stdout
    );
    assert!(project.path(&format!("cache/damaged/{digest}")).exists());
    // It is made again with the same bytes, so no stage that depends on it runs.
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 1);
    assert_eq!(project.outputs(), outputs);
    project.run(&["cache", "verify"]).ok();
}

#[test]
fn gc_shows_first_what_it_would_remove_and_keeps_the_given_experiments() {
    let project = Project::new(TOY);
    let without = TOY.find("[stages.test]").unwrap();
    project.write("small.toml", TOY[..without].replace("name = \"toy\"", "name = \"small\""));
    project.run(&["experiment.toml"]).ok();
    let before = project.outputs();
    let nothing = project.run(&["cache", "gc", "--yes"]).ok().stdout;
    assert!(nothing.starts_with("nothing to delete, 15 records"), "{nothing}");
    let old = project.run(&["cache", "gc", "--older-than", "1h", "--yes"]).ok().stdout;
    assert!(old.starts_with("nothing to delete, 15 records"), "{old}");
    let said = project.run(&["cache", "gc", "--keep", "small.toml"]).ok().stdout;
    assert!(said.contains("toy: 7 records") && said.contains("add --yes to delete"), "{said}");
    assert_eq!(project.outputs(), before);
    let wrong = project.run(&["cache", "gc", "--keep", "none.toml", "--yes"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert_eq!(project.outputs(), before);

    let dropped = json(&project.run(&["cache", "gc", "--keep", "small.toml", "--yes", "--json"]).ok().stdout);
    assert_eq!(dropped["records"].as_array().unwrap().len(), 7);
    assert_eq!(project.run(&["small.toml"]).ok().ran(), 0, "all of it was kept");
    project.run(&["cache", "verify"]).ok();
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 7);
    assert_eq!(project.outputs(), before);
    // Removes everything: the logs of runs that have ended hold no record.
    let all = project.run(&["cache", "gc", "--older-than", "0s", "--yes"]).ok().stdout;
    assert!(all.contains("toy: 15 records") && all.contains("0 records (0.0 KiB) kept"), "{all}");
    assert!(project.outputs().is_empty() && project.names("cache/objects").is_empty());
}

/// Removes as much as possible, again and again, while an experiment runs.
#[test]
fn gc_and_verify_do_not_disturb_a_running_experiment() {
    let undisturbed = Project::new(TOY);
    undisturbed.run(&["experiment.toml"]).ok();
    let project = Project::new(TOY);
    // Some stages are cached already, so that the run has hits to lose.
    project.run(&["experiment.toml", "--only", "segment.random"]).ok();
    let mut run = project.start(&["experiment.toml"]);
    let (mut swept, mut verified) = (0, 0);
    let code = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status.code();
        }
        let gc = project.run(&["cache", "gc", "--older-than", "0s", "--yes"]);
        assert_eq!(gc.code, Some(0), "{}", gc.stderr);
        swept += 1;
        let verify = project.run(&["cache", "verify"]);
        assert_eq!(verify.code, Some(0), "{}{}", verify.stdout, verify.stderr);
        verified += 1;
    };
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut run.stderr.take().unwrap(), &mut stderr).unwrap();
    assert_eq!(code, Some(0), "after {swept} sweeps: {stderr}");
    assert!(swept > 1 && verified > 1);
    assert_eq!(project.files("reports"), undisturbed.files("reports"));
}

/// Records as the program wrote them before it recorded builds and vector instructions.
#[test]
fn records_of_older_programs_are_read_and_another_layout_is_refused_by_every_verb() {
    let project = Project::new(TOY);
    project.run(&["experiment.toml", "--only", "patches"]).ok();
    for path in project.names("cache/records") {
        let mut record = json(&fs::read_to_string(&path).unwrap());
        let made = record["made"].as_object_mut().unwrap();
        made.remove("build");
        made.remove("cpu_features");
        fs::write(&path, record.to_string()).unwrap();
    }
    let listed = json(&project.run(&["cache", "ls", "--json"]).ok().stdout);
    assert_eq!(listed["records"].as_array().unwrap().len(), 2);
    project.run(&["cache", "verify"]).ok();
    project.run(&["explain", "experiment.toml", "patches", "--full"]).ok();
    assert_eq!(project.run(&["experiment.toml", "--only", "patches"]).ok().ran(), 0);
    fs::remove_file(project.path("cache/layout")).unwrap();
    project.write("cache/layout", "99");
    for verb in ["ls", "verify", "gc"] {
        let refused = project.run(&["cache", verb]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("has layout 99, this program reads layout 1"), "{}", refused.stderr);
    }
}

#[test]
fn plan_forecasts_from_records_and_draws_families() {
    let project = Project::new(&TOY.replace("seeds = [0, 1]", "seeds = [0, 1, 2, 3]"));
    let nothing = project.run(&["plan", "experiment.toml"]).ok().stdout;
    assert!(nothing.ends_with("\nno forecast: no stage of these kinds has run in this cache yet\n"), "{nothing}");
    project.run(&["experiment.toml", "--only", "ssl"]).ok();
    // A family of four seeds is one line in the plan.
    let changed = ["plan", "experiment.toml", "--set", "stages.ssl.epochs=30"];
    let plan = project.run(&changed).ok().stdout;
    assert!(plan.contains("\nforecast: about "), "{plan}");
    assert!(plan.contains("; estimated from 4 records; 19 stages of kinds that never ran in this cache (evaluate, figure, finetune, overlay, table) are not included\n"), "{plan}");
    let json_of = |args: &[&str]| json(&project.run(&[args, &["--json"]].concat()).ok().stdout);
    let stages = json_of(&changed);
    let forecast =
        &stages["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "ssl@2").unwrap()["forecast"];
    let listed = json(&project.run(&["cache", "ls", "--json"]).ok().stdout);
    let mut seconds: Vec<f64> = listed["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["kind"] == "pretrain")
        .map(|record| record["seconds"].as_f64().unwrap())
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = (seconds[1] + seconds[2]) / 2.0;
    assert!(
        (10.0 * median..10.0 * median + 2.0).contains(&forecast["seconds"].as_f64().unwrap()),
        "ten times the epochs: {forecast}"
    );
    assert!(forecast["memory_mib"].as_u64().is_some_and(|mib| mib > 0), "{forecast}");
    assert_eq!(stages["forecast"]["stages_not_counted"], 19);
    assert!(stages["forecast"]["seconds"].as_f64().unwrap() >= 20.0 * median);

    let dot = project.run(&["plan", "experiment.toml", "--dot"]).ok().stdout;
    assert!(dot.starts_with("digraph \"toy: 25 stages\"") && dot.contains("segment × 8"), "{dot}");
    project.run(&["plan", "experiment.toml", "--svg", "plan.svg"]).ok();
    let svg = fs::read_to_string(project.path("plan.svg")).unwrap();
    assert!(svg.contains("ssl × 4") && svg.ends_with("</svg>\n"), "{svg}");
    project.run(&["experiment.toml"]).ok();
    let done = project.run(&["plan", "experiment.toml"]).ok().stdout;
    assert!(!done.contains("forecast"), "nothing is to run: {done}");
}

#[test]
fn explain_finds_the_cause_of_a_change_and_the_origin_of_a_number() {
    let project = Project::new(TOY);
    project.run(&["experiment.toml"]).ok();
    let hit = project.run(&["explain", "experiment.toml", "ssl@0", "--full"]).ok().stdout;
    for part in [
        "  record: ",
        "cache/records/",
        "  build: ",
        "  wall time: ",
        "  peak_memory_mib: ",
        "  input: patches ",
        "  left: encoder.safetensors ",
    ] {
        assert!(hit.contains(part), "{part}: {hit}");
    }

    // For a stage whose inputs changed, before any stage ran again.
    let set = ["--set", "stages.ssl.method.temperature=0.1"];
    let explain =
        |stage: &str| project.run(&[&["explain", "experiment.toml", stage][..], &set[..]].concat()).ok().stdout;
    let waits = explain("test.segment.matssl@1");
    assert!(waits.contains("  because of ssl@1: method.temperature: 0.07 → 0.1\n"), "{waits}");
    // After the input ran again: what changed in its content, and why.
    project.run(&[&["experiment.toml", "--only", "ssl"][..], &set[..]].concat()).ok();
    let changed = explain("segment.matssl@0");
    assert!(changed.contains("  file encoder.safetensors of ssl@0: "), "{changed}");
    assert!(changed.contains("  because of ssl@0: method.temperature: 0.07 → 0.1\n"), "{changed}");
    let both = json(
        &project.run(&[&["explain", "experiment.toml", "segment.matssl", "--json"][..], &set[..]].concat()).ok().stdout,
    );
    let first = &both["stages"][0];
    assert_eq!(
        (&first["state"], &first["because"][0]["reasons"][0]["new"]),
        (&"changed".into(), &0.1.into()),
        "{first:#}"
    );
    assert_eq!(first["changed_inputs"][0]["stage"], "ssl@0");

    let table = String::from_utf8(fs::read(project.path("reports/toy/table.csv")).unwrap()).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let row: Vec<&str> =
        table.lines().find(|line| line.starts_with("test.segment.matssl,")).unwrap().split(',').collect();
    let column = |name: &str| row[header.iter().position(|field| *field == name).unwrap()];
    let cell = project.run(&["explain", "experiment.toml", "--cell", "table:test.segment.matssl,mIoU"]).ok().stdout;
    let first =
        format!("table: test.segment.matssl, mIoU: {} % ± {} % over 2 seeds\n", column("miou"), column("miou_std"));
    assert!(cell.starts_with(&first), "{first}{cell}");
    for part in [
        "  seed 1: ",
        "test.segment.matssl@1 depends on\n",
        "    encoder ← ssl@1\n",
        "all of them depend on\n  micrographs: synthesize, key ",
    ] {
        assert!(cell.contains(part), "{part}: {cell}");
    }
    let traced =
        json(&project.run(&["explain", "experiment.toml", "--cell", "test.segment.random,miou", "--json"]).ok().stdout);
    assert_eq!(
        traced["samples"][1]["rests_on"],
        serde_json::json!(["micrographs", "segment.random@1", "test.segment.random@1"])
    );
    assert!(traced["stages"][0]["made"]["host"].is_string());

    let curve = String::from_utf8(fs::read(project.path("reports/toy/curve.csv")).unwrap()).unwrap();
    let line = curve.lines().find(|line| line.starts_with("MatSSL,2,")).unwrap();
    let point = project.run(&["explain", "experiment.toml", "--point", "curve:MatSSL,2", "--full"]).ok().stdout;
    assert!(
        point.starts_with(&format!("curve: MatSSL, val_miou at epoch 2: {} ± ", line.split(',').nth(2).unwrap())),
        "{point}"
    );
    assert!(point.contains("method.temperature = 0.07"), "{point}");

    let refused = |flag: &str, what: &str| {
        let refused = project.run(&["explain", "experiment.toml", flag, what]);
        assert_eq!(refused.code, Some(2), "{}", refused.stdout);
        refused.stderr
    };
    let row = refused("--cell", "table:test.segment.matsl,mIoU");
    assert!(row.contains("no row is called `test.segment.matsl`; there are test.segment.matssl, test.segment.random, majority class ("), "{row}");
    assert!(row.contains("help: did you mean `test.segment.matssl`?"), "{row}");
    assert!(refused("--cell", "table:test.segment.matssl,iou").contains("there are mIoU, IoU "));
    assert!(refused("--point", "curve:MatSSL,9").contains("it has epochs 1 to 3"));
    assert!(refused("--point", "curv:MatSSL,1").contains("help: did you mean `curve`?"));
}
