//! What right files mean.

use super::*;

#[test]
fn the_stages_of_table4() {
    let experiment = right(TABLE4, &[]);
    assert_eq!(experiment.name, "table4");
    assert_eq!(experiment.title, "mIoU (%) for different pretraining strategies");
    assert_eq!(
        names(&experiment),
        [
            "metaldam",
            "uhcs",
            "patches.uhcs",
            "patches.metaldam",
            "ssl.densecl.uhcs+metaldam@0",
            "ssl.densecl.all@0",
            "ssl.matssl.uhcs+metaldam@0",
            "ssl.matssl.all@0",
            "segment.ssl.densecl.all@0",
            "segment.ssl.matssl.all@0",
            "segment.ssl.matssl.uhcs+metaldam@0",
            "tables.table4",
            "figures.fig3",
        ]
    );
    assert_eq!(
        inputs(&experiment, "ssl.matssl.uhcs+metaldam@0"),
        ["patches=patches.uhcs → patches.uhcs", "patches=patches.metaldam → patches.metaldam"]
    );
    assert_eq!(
        inputs(&experiment, "segment.ssl.matssl.all@0"),
        ["dataset=metaldam → metaldam", "encoder=ssl.matssl.all → ssl.matssl.all@0"]
    );
    assert_eq!(
        inputs(&experiment, "tables.table4"),
        [
            "rows=segment.ssl.densecl.all → segment.ssl.densecl.all@0",
            "rows=segment.ssl.matssl.all → segment.ssl.matssl.all@0",
            "rows=segment.ssl.matssl.uhcs+metaldam → segment.ssl.matssl.uhcs+metaldam@0",
        ]
    );
    assert_eq!(
        inputs(&experiment, "figures.fig3"),
        ["series=MatSSL → segment.ssl.matssl.all@0", "series=DenseCL → segment.ssl.densecl.all@0"]
    );
    let ssl = &experiment.instances[7];
    assert_eq!((ssl.label(), ssl.family.as_str(), ssl.seed), ("ssl.matssl.all", "ssl", Some(0)));
    assert_eq!(ssl.axes, [("method".into(), "matssl".into()), ("patches".into(), "all".into())]);
    assert_eq!(
        ssl.params.to_string(),
        r#"{"crop":null,"encoder":{"arch":"resnet50","weights":"imagenet"},"epochs":50,"method":"matssl","optimizer":{"learning_rate":0.1,"name":"sgd"},"patches":"<input>","temperature":0.07}"#
    );
    assert_eq!(
        experiment.instances[2].params.to_string(),
        r#"{"dataset":"<input>","overlap":0.6,"size":128,"use":"unlabeled"}"#
    );
    assert_eq!(experiment.instances[11].params["file"], "table4");
}

#[test]
fn every_stage_comes_after_its_inputs() {
    for instance in right(TABLE4, &["seeds=[5,3]"]).instances.iter().enumerate() {
        assert!(instance.1.inputs.iter().all(|input| input.instance < instance.0));
    }
}

#[test]
fn random_stages_and_those_that_depend_on_them_are_repeated_for_each_seed() {
    let experiment = right(TABLE4, &["seeds=[0, 7]"]);
    let repeated: Vec<&str> = names(&experiment).into_iter().filter(|name| name.contains('@')).collect();
    assert_eq!(repeated.len(), 14);
    assert!(names(&experiment).contains(&"patches.uhcs"));
    assert_eq!(
        inputs(&experiment, "segment.ssl.matssl.all@7"),
        ["dataset=metaldam → metaldam", "encoder=ssl.matssl.all → ssl.matssl.all@7"]
    );
    assert_eq!(
        inputs(&experiment, "figures.fig3")[..2],
        ["series=MatSSL → segment.ssl.matssl.all@0", "series=MatSSL → segment.ssl.matssl.all@7"]
    );
    // A name does not change when a seed is added.
    assert!(names(&right(TABLE4, &[])).iter().all(|name| names(&experiment).contains(name)));
}

const BASE: &str = r#"
name = "x"
[datasets.d]
format = "folder"
path = "d"
[stages.patches]
kind = "patchify"
dataset = "d"
"#;

fn with_base(more: &str) -> String {
    format!("{BASE}{more}")
}

#[test]
fn a_values_label_is_its_text() {
    let text = with_base(
        r#"
[stages.s]
kind = "pretrain"
patches = "patches"
method = "matssl"
matrix.temperature = [0.07, 1e-1, 1]
matrix.encoder = { "random 18" = { arch = "resnet18" } }
"#,
    );
    assert_eq!(names(&right(&text, &[]))[2..], ["s.0.07.random-18@0", "s.1e-1.random-18@0", "s.1.random-18@0"]);
}

#[test]
fn an_included_member_is_named_by_name_by_axes_or_by_the_fewest_keys() {
    let stage = |matrix: &str| {
        with_base(&format!(
            "[stages.s]\nkind = \"pretrain\"\npatches = \"patches\"\nencoder = {{ arch = \"a\" }}\n{matrix}\n"
        ))
    };
    let of = |matrix: &str| {
        let experiment = right(&stage(matrix), &[]);
        names(&experiment)[2..].iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        of(r#"matrix.include = [{ method = "matssl", epochs = 1 }, { method = "matssl", epochs = 2, name = "two" }]"#),
        ["s.matssl@0", "s.two@0"]
    );
    assert_eq!(
        of(r#"matrix.include = [
            { method = "matssl", epochs = 1, temperature = 0.1 },
            { method = "matssl", epochs = 2, temperature = 0.1 },
            { method = "mocov2", epochs = 1, temperature = 0.1 }]"#),
        ["s.matssl.1@0", "s.matssl.2@0", "s.mocov2.1@0"]
    );
    assert_eq!(
        of("matrix.method = [\"matssl\", \"mocov2\"]\nmatrix.epochs = [1, 2]\n\
            matrix.exclude = [{ method = \"mo*\", epochs = 2 }]\n\
            matrix.include = [{ epochs = 3, method = \"densecl\" }]"),
        ["s.matssl.1@0", "s.matssl.2@0", "s.mocov2.1@0", "s.densecl.3@0"]
    );
}

#[test]
fn the_name_of_a_family_names_all_its_members_where_several_are_taken() {
    let text = with_base(
        r#"
[stages.p2]
kind = "patchify"
dataset = "d"
matrix.size = [64, 128]
[stages.s]
kind = "pretrain"
method = "matssl"
patches = "p2"
encoder = { arch = "a" }
[stages.t]
kind = "pretrain"
method = "matssl"
encoder = "s"
matrix.patches = ["p2", "p2.*"]
[stages.f]
kind = "finetune"
dataset = "d"
matrix.encoder = ["t"]
[[tables]]
file = "all"
rows = ["f", "f.t.p2", "f.*"]
"#,
    );
    let experiment = right(&text, &[]);
    assert_eq!(inputs(&experiment, "s@0"), ["patches=p2.64 → p2.64", "patches=p2.128 → p2.128"]);
    assert_eq!(
        names(&experiment)[5..],
        ["t.p2@0", "t.p2.64@0", "t.p2.128@0", "f.t.p2@0", "f.t.p2.64@0", "f.t.p2.128@0", "tables.all"]
    );
    assert_eq!(inputs(&experiment, "t.p2@0").len(), 3);
    assert_eq!(inputs(&experiment, "tables.all").len(), 3, "each once");
}

#[test]
fn flags_set_any_value() {
    let experiment = right(
        TABLE4,
        &[
            "title=abc def",
            "stages.ssl.epochs=1_000",
            "stages.ssl.optimizer.learning_rate = 0.5",
            "stages.ssl.matrix.method=[\"mocov2\"]",
            "stages.segment.matrix.encoder=[\"ssl.*.all\"]",
            "tables.table4.reference=none",
            "figures.0.kind=bar",
            "figures.fig3.series={ all = \"segment\" }",
            "max_stages=1_000",
        ],
    );
    assert_eq!(experiment.title, "abc def");
    let ssl = &experiment.instances[5];
    assert_eq!(ssl.name, "ssl.mocov2.all@0");
    assert_eq!((&ssl.params["epochs"], &ssl.params["optimizer"]["learning_rate"]), (&1000.into(), &0.5.into()));
    let figure = experiment.instances.last().unwrap();
    assert_eq!(figure.params["kind"], "bar");
    assert_eq!(inputs(&experiment, "figures.fig3"), ["series=all → segment.ssl.mocov2.all@0"]);
    assert_eq!(experiment.instances[experiment.instances.len() - 2].params["reference"], "none");
}

#[test]
fn line_ends_of_windows_and_byte_order_marks_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    std::fs::write(&path, format!("\u{feff}{}", TABLE4.replace('\n', "\r\n"))).unwrap();
    let mut experiment = load(&path, &[], &TOY).unwrap();
    experiment.path = "a.toml".into();
    experiment.files = vec!["a.toml".into()];
    assert_eq!(experiment, right(TABLE4, &[]));
}

#[test]
fn a_long_chain_of_stages_does_not_overflow_the_stack() {
    let mut text = with_base("max_stages = 30000\n").replacen("max_stages = 30000\n", "", 1);
    text = text.replacen("name = \"x\"", "name = \"x\"\nmax_stages = 30000", 1);
    for at in (0..20_000).rev() {
        let encoder = if at == 0 { "{ arch = \"a\" }".to_string() } else { format!("\"s{}\"", at - 1) };
        text +=
            &format!("[stages.s{at}]\nkind=\"pretrain\"\nmethod=\"matssl\"\npatches=\"patches\"\nencoder={encoder}\n");
    }
    assert_eq!(right(&text, &[]).instances.len(), 20_002);
}

#[test]
fn an_unreadable_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let message = |path: &Path| {
        let rejected = load(path, &[], &TOY).unwrap_err();
        assert!(matches!(rejected, Rejected::Unreadable { .. }));
        rejected.to_string().replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    assert_eq!(message(&at("none.toml")), "error: cannot read FOLDER/none.toml: there is no such file");
    assert_eq!(message(folder.path()), "error: cannot read FOLDER: it is a folder, not an experiment file");
    std::fs::write(at("latin.toml"), b"name = \"x\"\ntitle = \"Gef\xfcge\"\n").unwrap();
    assert_eq!(
        message(&at("latin.toml")),
        "error: cannot read FOLDER/latin.toml: it is not UTF-8 text: byte 0xfc at line 2, column 13"
    );
    std::fs::write(at("large.toml"), vec![b'#'; (4 << 20) + 1]).unwrap();
    assert_eq!(
        message(&at("large.toml")),
        "error: cannot read FOLDER/large.toml: it is larger than 4 MiB, so it is not an experiment file"
    );
}
