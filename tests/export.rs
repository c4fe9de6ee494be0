//! `export` and `[[models]]`: from a finished experiment to folders that stand by themselves.

mod common;
use common::{Project, TOY};
use matssl_run::predict::model::{ModelDescription, ModelFolder};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One seed of one model, one epoch.
fn small() -> String {
    TOY.replace("epochs = 3", "epochs = 1")
}

const MODELS: &str = r#"
[[models]]
file = "best"
dataset = "micrographs"
rows = ["segment.matssl"]
scores = ["test.segment.matssl"]
ensemble = true

[[models]]
file = "random"
dataset = "micrographs"
rows = { "from scratch" = "segment.random" }
"#;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_trained_model_leaves_as_a_folder() {
    let project = Project::new(&(small() + MODELS));
    project.run(&["experiment.toml"]).ok();
    one(&project);
    several(&project);
    in_reports(&project);
    refused(&project);
    damaged(&project);
}

fn one(project: &Project) {
    let done = project.run(&["export", "experiment.toml", "segment.matssl@1", "-o", "model"]).ok();
    assert_eq!(done.stdout, "model\n");
    // Trainings leave a reference since their version 6.
    let folder = ModelFolder::open(&project.path("model")).unwrap();
    let reference = folder.reference().is_some();
    assert_eq!(done.stderr.contains("note: segment.matssl@1: its training is of an older program"), !reference);
    let ModelDescription { name, classes, scores, provenance, tile, overlap, normalisation, .. } = &folder.description;
    assert_eq!((name.as_str(), *tile, *overlap), ("segment.matssl@1", 32, 0.5));
    assert_eq!(normalisation.mean, [0.485, 0.456, 0.406]);
    let manifest: Value = {
        let plan = project.run(&["plan", "experiment.toml", "--json"]).ok().stdout;
        serde_json::from_str(&plan).unwrap()
    };
    let stage = find(&manifest, "segment.matssl@1").unwrap_or_else(|| panic!("{manifest}"));
    assert_eq!(stage["key"], Value::from(provenance.key.clone()));
    assert_eq!((provenance.experiment.as_str(), provenance.seed), ("toy", Some(1)));
    assert!(provenance.program.starts_with("matssl-run "), "{}", provenance.program);
    assert_eq!(provenance.inputs.keys().collect::<Vec<_>>(), ["micrographs", "ssl@1"]);
    let test = scores.iter().find(|scores| scores.split == "test").unwrap();
    assert_eq!((test.images, test.dataset.as_str(), test.iou.len()), (2, "micrographs", classes.len()));
    let confusion = test.confusion.as_ref().unwrap();
    assert_eq!(confusion.total(), 2 * 64 * 64);
    assert_eq!((confusion.miou(&[]), test.content.len()), (test.miou, 64));
    let readme = fs::read_to_string(project.path("model/README.md")).unwrap();
    for part in [
        "# segment.matssl@1",
        "smp.UnetPlusPlus(\n    \"resnet18-8\"",
        "class Encoder(ResNetEncoder)",
        "| test | micrographs | 2 |",
    ] {
        assert!(readme.contains(part), "{part}\n{readme}");
    }
    // Again: the same bytes.
    let bytes = fs::read(project.path("model/model.json")).unwrap();
    let again = project.run(&["export", "experiment.toml", "segment.matssl@1", "-o", "model", "--quiet"]).ok();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("model\n", ""));
    assert_eq!(fs::read(project.path("model/model.json")).unwrap(), bytes);
}

/// The stage called `name`, wherever it stands.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(object) if object.values().any(|value| value == name) && object.contains_key("key") => {
            Some(value)
        }
        Value::Object(object) => object.values().find_map(|value| find(value, name)),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

fn several(project: &Project) {
    let done = project.run(&["export", "experiment.toml", "segment.matssl@*", "-o", "all"]).ok();
    assert_eq!(done.stdout, "all/segment.matssl-0\nall/segment.matssl-1\n");
    let of_stage = |name: &str| ModelFolder::open(&project.path(name)).unwrap().description.provenance.stage;
    assert_eq!(of_stage("all/segment.matssl-0"), "segment.matssl@0");
    let one = ModelFolder::open(&project.path("all/segment.matssl-1")).unwrap();
    assert_eq!(one.digest, ModelFolder::open(&project.path("model")).unwrap().digest);
    let arguments = ["export", "experiment.toml", "segment.*", "-o", "together", "--ensemble", "--json"];
    let done = project.run(&arguments).ok();
    let json: Value = serde_json::from_str(&done.stdout).unwrap();
    let stages: Vec<&str> = json.as_array().unwrap().iter().map(|model| model["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["segment.matssl@0", "segment.matssl@1", "segment.random@0", "segment.random@1"]);
    assert_eq!(json[1]["folder"], "together/segment.matssl-1");
    let models = ModelFolder::open_all(&project.path("together")).unwrap();
    assert_eq!(models.iter().map(|model| model.digest.as_str()).collect::<Vec<_>>(), {
        json.as_array().unwrap().iter().map(|model| model["digest"].as_str().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(project.run(&["export", "experiment.toml", "segment", "-o", "four"]).ok().stdout.lines().count(), 4);
}

fn in_reports(project: &Project) {
    let folder = project.path("reports/toy/models");
    assert_eq!(names(&folder), ["best", "random"]);
    assert_eq!(names(&folder.join("best")), ["README.md", "model.json", "segment.matssl-0", "segment.matssl-1"]);
    let models = ModelFolder::open_all(&folder.join("best")).unwrap();
    assert_eq!(models.len(), 2);
    // As `export` writes it.
    assert_eq!(models[1].digest, ModelFolder::open(&project.path("model")).unwrap().digest);
    for name in ["model.safetensors", "README.md"] {
        assert!(
            fs::read(models[1].path.join(name)).unwrap() == fs::read(project.path("model").join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(names(&folder.join("random")), ["from-scratch-0", "from-scratch-1"]);
    let random = ModelFolder::open(&folder.join("random/from-scratch-0")).unwrap().description;
    assert_eq!((random.name.as_str(), random.provenance.stage.as_str()), ("from scratch@0", "segment.random@0"));
    assert!(random.scores.iter().all(|scores| scores.split != "test"));
    let before = fs::read(folder.join("best/model.json")).unwrap();
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0);
    assert_eq!(fs::read(folder.join("best/model.json")).unwrap(), before);
    ModelFolder::open_all(&folder.join("best")).unwrap();
    let page = fs::read_to_string(project.path("reports/toy/index.html")).unwrap();
    assert!(!page.contains("class Encoder"), "a README is no table");
    let command = "by all of them together: <code>matssl-run predict 'models/best' IMAGES… -o RESULTS</code>";
    assert!(page.contains("<h2>Models</h2>") && page.contains(command));
    let run: Value = serde_json::from_slice(&fs::read(project.path("reports/toy/run.json")).unwrap()).unwrap();
    let [best, random] = [&run["models"][0], &run["models"][1]];
    assert_eq!((&best["path"], &best["stages"][0][1][0]), (&json!("models/best"), &json!("segment.matssl@0")));
    assert_eq!(best["folders"][1]["scores"][1][0], "test");
    assert_eq!(random["folders"][0]["path"], "models/random/from-scratch-0");
}

fn refused(project: &Project) {
    let run = |arguments: &[&str]| {
        let done = project.run(&[&["export", "experiment.toml"], arguments].concat());
        (done.code.unwrap(), done.stderr)
    };
    let unknown = run(&["segment.matsl", "-o", "x"]);
    let text = "error: no stage is called `segment.matsl`\nhelp: did you mean `segment.matssl@0`?\n";
    assert_eq!(unknown, (2, text.to_owned()));
    let text = "error: `test.segment.matssl` is a stage of kind evaluate, which trains no model for predictions\nhelp: did you mean \
                `segment.matssl@0`?\n";
    assert_eq!(run(&["test.segment.matssl", "-o", "x"]), (2, text.to_owned()));
    assert_eq!(run(&["segment.matssl@7", "-o", "x"]).0, 2);
    project.write("taken/notes.txt", "mine");
    let text =
        "error: -o: taken holds notes.txt, which is no part of a model folder and would be lost; name another folder\n";
    assert_eq!(run(&["segment.matssl@0", "-o", "taken", "-q"]), (2, text.to_owned()));
    let text = "error: segment.matssl@0 has not been trained yet\nerror: segment.matssl@1 has not been trained yet\nhelp: \
                `matssl-run experiment.toml --only segment.matssl --set stages.segment.epochs=2` trains what is missing\n";
    assert_eq!(run(&["segment.matssl", "-o", "x", "--set", "stages.segment.epochs=2"]), (4, text.to_owned()));
    let text = "help: `matssl-run experiment.toml --only 'segment.matssl@*' --cache other` trains what is missing\n";
    let other = run(&["segment.matssl@*", "-o", "x", "--cache", "other"]);
    assert!(other.0 == 4 && other.1.ends_with(text), "{}", other.1);
    assert!(!project.path("x").exists());
    // What a matrix or a pattern means for `--only`, a pattern of seeds means too.
    let only = project.run(&["experiment.toml", "--only", "segment.matssl@*"]).ok();
    assert!(only.stderr.contains("stages done: 0 ran"), "{}", only.stderr);
    // A misspelt label of an evaluation is found before anything runs.
    project.edit("scores = [\"test.segment.matssl\"]", "scores = [\"test.segment.random\"]");
    let done = project.run(&["plan", "experiment.toml"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("\"test.segment.random\" belongs to none of the models segment.matssl"),
        "{}",
        done.stderr
    );
    project.edit("scores = [\"test.segment.random\"]", "scores = [\"test.segment.matssl\"]");
}

fn damaged(project: &Project) {
    let digest = blake3::hash(&fs::read(project.path("model/model.safetensors")).unwrap()).to_hex().to_string();
    let object = project.path("cache/objects").join(&digest[..2]).join(&digest[2..]);
    let mut bytes = fs::read(&object).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&object).unwrap();
    fs::write(&object, bytes).unwrap();
    let done = project.run(&["export", "experiment.toml", "segment.matssl@1", "-o", "model"]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let damaged = "error: model.safetensors of toy/segment.matssl@1 is damaged in the cache (";
    assert!(done.stderr.starts_with(damaged) && done.stderr.ends_with("makes them again\n"), "{}", done.stderr);
    assert_eq!(done.stderr.matches(" is damaged in the cache").count(), 1, "{}", done.stderr);
    ModelFolder::open(&project.path("model")).unwrap();
}
