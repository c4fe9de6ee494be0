//! Experiments that extend another.

use super::*;
use std::fs;

/// A folder with files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// `child.toml` over `base.toml`.
fn extended(base: &str, child: &str) -> Result<Experiment, String> {
    let folder = folder(&[("base.toml", base), ("child.toml", child)]);
    let shown = |wrong: Rejected| wrong.to_string().replace(&format!("{}/", folder.path().display()), "");
    load(&folder.path().join("child.toml"), &[], &TOY).map_err(shown)
}

fn child(text: &str) -> String {
    format!("name = \"child\"\nextends = \"base.toml\"\n{text}")
}

fn params<'e>(experiment: &'e Experiment, family: &str) -> &'e serde_json::Value {
    &experiment.instances.iter().find(|instance| instance.family == family).unwrap().params
}

const BASE: &str = r#"
name = "base"
title = "A base"
seeds = [0]
[stages.m]
kind = "synthesize"
images = 3
timeout = "1 h"
[stages.p]
kind = "patchify"
dataset = "m"
[stages.ssl]
kind = "pretrain"
patches = "p"
encoder = { arch = "resnet18", weights = "random" }
method = "matssl"
optimizer = { name = "sgd", learning_rate = 0.1 }
matrix.temperature = [0.1, 0.2]
matrix.epochs = [1, 2]
[stages.seg]
kind = "finetune"
dataset = "m"
matrix.encoder = ["ssl.*"]
[[tables]]
file = "one"
rows = "seg.*"
[[tables]]
file = "two"
rows = { "first" = "seg.ssl.0.1.1" }
"#;

#[test]
fn an_extending_file_with_only_a_name_equals_its_base() {
    let folder = folder(&[("base.toml", BASE), ("deep/child.toml", "extends = \"../base.toml\"\nname = \"child\"")]);
    let path = folder.path().join("deep/child.toml");
    let experiment = load(&path, &[], &TOY).unwrap();
    let base = load(&folder.path().join("base.toml"), &[], &TOY).unwrap();
    assert_eq!((experiment.name.as_str(), experiment.title.as_str()), ("child", "A base"));
    assert_eq!(experiment.instances, base.instances);
    assert_eq!(experiment.files, [path, folder.path().join("deep/../base.toml")]);
}

#[test]
fn tables_are_merged_and_other_values_replaced() {
    let text = child(
        "seeds = [4, 5]\n[stages.m]\nimages = 7\nretries = 1\n[stages.ssl]\nencoder = { weights = \"imagenet\" }\n\
         optimizer.learning_rate = 0.5\n[[tables]]\nfile = \"two\"\nreference = \"paper\"\nrows.second = \"seg.ssl.0.2.1\"\n\
         [[tables]]\nfile = \"three\"\nrows = \"seg.*\"\n[stages.n]\nkind = \"synthesize\"\nimages = 1\n",
    );
    let experiment = extended(BASE, &text).unwrap();
    assert_eq!(experiment.seeds, [4, 5]);
    assert_eq!(params(&experiment, "m")["images"], 7);
    let limits = &experiment.instances[0].limits;
    assert_eq!((limits.timeout.map(|time| time.as_secs()), limits.retries), (Some(3600), Some(1)));
    let ssl = params(&experiment, "ssl");
    assert_eq!(ssl["encoder"], serde_json::json!({ "arch": "resnet18", "weights": "imagenet" }));
    assert_eq!(ssl["optimizer"], serde_json::json!({ "name": "sgd", "learning_rate": 0.5 }));
    assert_eq!(params(&experiment, "tables.two")["reference"], "paper");
    assert_eq!(
        inputs(&experiment, "tables.two"),
        ["first → seg.ssl.0.1.1@4", "first → seg.ssl.0.1.1@5", "second → seg.ssl.0.2.1@4", "second → seg.ssl.0.2.1@5"]
            .map(|input| format!("rows={input}"))
    );
    let names = names(&experiment);
    assert_eq!(names[names.len() - 4..], ["tables.one", "tables.two", "tables.three", "n"]);
}

#[test]
fn another_name_kind_or_format_replaces_a_table() {
    let text = child("[stages.ssl]\noptimizer = { name = \"adam\" }\n");
    assert!(extended(BASE, &text).unwrap_err().contains("missing `learning_rate`"));
    let text = child("[stages.p]\nkind = \"synthesize\"\nimages = 1\n");
    let wrong = extended(BASE, &text).unwrap_err();
    assert!(wrong.contains("`p` is of the wrong kind") && !wrong.contains("`dataset`"), "{wrong}");
}

#[test]
fn a_matrix_key_replaces_the_bases_and_the_plain_key() {
    let of = |text: &str| {
        let experiment = extended(BASE, &child(text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let ssl = experiment.instances.iter().filter(|instance| instance.family == "ssl");
        ssl.map(|instance| instance.label().to_string()).collect::<Vec<_>>()
    };
    // The base's order of keys stays: temperature, epochs.
    let rest = "remove = [\"tables.two\"]\n[stages.ssl]\n";
    assert_eq!(of(&format!("{rest}matrix.temperature = {{ hot = 0.9 }}")), ["ssl.hot.1", "ssl.hot.2"]);
    assert_eq!(of(&format!("{rest}matrix.method = [\"mocov2\"]\nepochs = 9")), ["ssl.0.1.mocov2", "ssl.0.2.mocov2"]);
    assert_eq!(of("remove = [\"tables\", \"stages.seg\"]\n[stages.ssl]\nepochs = 9\ntemperature = 1"), ["ssl"]);
    assert_eq!(of(&format!("{rest}matrix.exclude = [{{ epochs = 1 }}]")), ["ssl.0.1.2", "ssl.0.2.2"]);
}

#[test]
fn parts_of_the_base_can_be_removed() {
    let text = child(
        "remove = [\"tables.two\", 'stages.\"seg\".matrix', \"stages.ssl.encoder.weights\"]\n\
                      [stages.seg]\nencoder = \"ssl.0.1.1\"\n[[tables]]\nfile = \"one\"\nrows = \"seg\"",
    );
    let experiment = extended(BASE, &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(names(&experiment).ends_with(&["seg@0", "tables.one"]));
    assert_eq!(params(&experiment, "ssl")["encoder"]["weights"], serde_json::Value::Null);
    let wrong = extended(BASE, &child("remove = [\"stages.sll\", \"tables.tow\", 3, \"\", \"name.x\"]")).unwrap_err();
    let expected = r#"error: the extended file has no `sll`
 --> child.toml:3:11
  |
3 | remove = ["stages.sll", "tables.tow", 3, "", "name.x"]
  |           ^^^^^^^^^^^^ there is nothing to remove
  |
  = help: did you mean `ssl`?
  = note: expected one of `m`, `p`, `seg`, `ssl`
"#;
    assert!(wrong.starts_with(expected), "{wrong}");
    assert!(wrong.contains("did you mean `two`?") && wrong.ends_with("5 errors in all"), "{wrong}");
}

#[test]
fn errors_of_the_base_are_shown_in_the_base() {
    let wrong = extended(&BASE.replace("images = 3", "imags = 3"), &child("[stages.p]\nsize = \"a\"")).unwrap_err();
    assert!(wrong.contains("error: unknown key `imags`\n --> base.toml:7:1"), "{wrong}");
    assert!(wrong.contains("error: wrong type for `size`\n --> child.toml:4:8"), "{wrong}");
    let wrong = extended("name = \"base\"\n[stages.a\n", &child("")).unwrap_err();
    assert!(wrong.contains("error: this is not TOML") && wrong.contains("--> base.toml:2:10"), "{wrong}");
    // A place in each file.
    let wrong = extended(BASE, &child("[datasets.m]\nformat = \"folder\"\npath = \"d\"")).unwrap_err();
    assert!(wrong.contains("base.toml:5:9") && wrong.contains("child.toml:3:11"), "{wrong}");
}

#[test]
fn each_experiment_has_its_own_name() {
    let wrong = extended(BASE, "extends = \"base.toml\"\n").unwrap_err();
    let expected = r#"error: the experiment has no `name`
 --> child.toml:1:1
  |
1 | extends = "base.toml"
  | ^ expected `name = "…"` before this
  |
  = note: the reports go into a folder of this name
  = note: the name of the extended file is not taken over"#;
    assert_eq!(wrong, expected);
    let wrong = extended(BASE, "extends = \"base.toml\"\nname = \"base\"\n").unwrap_err();
    assert!(wrong.contains("two experiments are called `base`") && wrong.contains("base.toml:2:8"), "{wrong}");
}

#[test]
fn a_misspelt_stage_is_not_a_new_stage() {
    let wrong = extended(BASE, &child("[stages.sll]\nepochs = 3")).unwrap_err();
    assert!(wrong.contains("the extended file has no stage `sll`") && wrong.contains("did you mean `ssl`?"), "{wrong}");
    assert!(wrong.contains("merged key by key") && wrong.matches("error:").count() == 1, "{wrong}");
}

#[test]
fn a_chain_of_files_has_a_maximum_length() {
    let link = |n: usize| format!("name = \"n{n}\"\nextends = \"{}.toml\"\n", n + 1);
    let chain = |length: usize| {
        let files: Vec<(String, String)> =
            (0..=length).map(|n| (format!("{n}.toml"), if n == length { BASE.into() } else { link(n) })).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let folder = folder(&files);
        load(&folder.path().join("0.toml"), &[], &TOY).map_err(|wrong| wrong.to_string())
    };
    assert_eq!(chain(8).unwrap().files.len(), 9);
    let wrong = chain(9).unwrap_err();
    assert!(wrong.contains("more than 8 files extend one another") && wrong.contains("8.toml:2:11"), "{wrong}");
}

#[test]
fn a_broken_chain_is_reported_where_it_breaks() {
    let wrong = extended("name = \"base\"\nextends = \"child.toml\"\n", &child("")).unwrap_err();
    let expected = r#"error: `child.toml` extends itself
 --> base.toml:2:11
  |
2 | extends = "child.toml"
  |           ^^^^^^^^^^^^ this is a file that extends this one, through 1 file"#;
    assert!(wrong.starts_with(expected), "{wrong}");
    let wrong = extended(BASE, "extends = \"child.toml\"\nname = \"a\"").unwrap_err();
    assert!(wrong.contains("this is this file"), "{wrong}");
    let wrong = extended(BASE, "extends = \"bsae.toml\"\nname = \"a\"\nremove = [\"stages\"]\n[stages.p]\nsize = 3")
        .unwrap_err();
    let expected = r#"error: cannot read `bsae.toml`
 --> child.toml:1:11
  |
1 | extends = "bsae.toml"
  |           ^^^^^^^^^^^ there is no such file
  |
  = note: a relative path starts at the folder of the file that holds it"#;
    assert_eq!(wrong, expected);
    for (text, words) in [
        ("extends = 3", "wrong type for `extends`"),
        ("extends = \".\"", "it is a folder"),
        ("extends = \"/dev/null\"", "it is not a file"),
        ("remove = []", "`remove` drops parts of the file that `extends` names"),
        ("\"\\u0065xtends\" = \"base.toml\"\n[stages.m]\nimages = \"a\"", "wrong type for `images`"),
    ] {
        let wrong = extended(BASE, &format!("name = \"a\"\n{text}")).map(|_| ()).unwrap_err();
        assert!(wrong.contains(words), "{text}: {wrong}");
    }
}

#[test]
fn flags_override_all_files() {
    let folder = folder(&[("base.toml", BASE), ("child.toml", &child("[stages.m]\nimages = 4"))]);
    let load = |flag: &str| load(&folder.path().join("child.toml"), &[flag.to_string()], &TOY);
    assert_eq!(params(&load("stages.m.images=5").unwrap(), "m")["images"], 5);
    let wrong = load("extends=\"other.toml\"").unwrap_err().to_string();
    assert!(wrong.contains("`extends` cannot be set on the command line") && wrong.contains("command line"), "{wrong}");
}
