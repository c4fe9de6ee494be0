//! The paper's tables in small: the graphs of experiments/table4.toml and table5.toml, all rows, on made data in the
//! published layouts.

mod common;
use common::Project;
use std::path::Path;

/// A folder with the experiments and the made data.
fn project() -> Project {
    let project = Project::new("");
    for name in ["table4", "table5", "smoke-table4", "smoke-table5"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("experiments/{name}.toml"));
        project.write(&format!("{name}.toml"), std::fs::read(path).unwrap());
    }
    project.run(&["new", "made", "--made-data"]).ok();
    project
}

#[test]
fn the_tables_of_the_paper_come_out_in_small_and_share_an_encoder() {
    let project = project();
    let plan = project.run(&["plan", "smoke-table4.toml", "--data", "made", "--json"]).ok().stdout;
    assert_eq!(plan.matches("\"pretrain\"").count(), 9, "nine encoders");
    let fourth = project.run(&["smoke-table4.toml", "--data", "made"]).ok();
    assert_eq!(fourth.ran(), 51, "{}", fourth.stderr);
    let csv = String::from_utf8(std::fs::read(project.path("reports/smoke-table4/table4.csv")).unwrap()).unwrap();
    let rows = |dataset: &str| csv.lines().filter(|line| line.contains(dataset)).count();
    assert_eq!((rows("MetalDAM: "), rows("Aachen: ")), (7, 7), "{csv}");
    for value in ["66.73", "69.95", "65.86"] {
        assert!(csv.contains(value), "the published {value} is not in {csv}");
    }
    for figure in ["fig3", "fig4", "fig5", "fig6"] {
        assert!(project.path(&format!("reports/smoke-table4/{figure}.svg")).exists());
    }
    assert!(project.path("reports/smoke-table4/index.html").exists());

    let fifth = project.run(&["smoke-table5.toml", "--data", "made"]).ok();
    assert!(
        !fifth.stderr.lines().any(|line| line.starts_with("ssl@0: started")),
        "the encoder is Table 4's: {}",
        fifth.stderr
    );
    let csv = String::from_utf8(std::fs::read(project.path("reports/smoke-table5/table5.csv")).unwrap()).unwrap();
    let published_only = csv.lines().find(|line| line.starts_with("\"EBC-3: CS-UNet")).expect("a row no stage makes");
    assert!(published_only.contains("45.69") && published_only.ends_with(",true"), "{csv}");
}

#[test]
fn made_data_is_never_put_over_what_is_there_and_is_found_by_the_verb_data() {
    let project = project();
    let again = project.run(&["new", "made", "--made-data"]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("made is there already"), "{}", again.stderr);
    let found = project.run(&["data", "smoke-table4.toml", "--data", "made"]).ok().stdout;
    assert!(found.contains("5 data sets, 5 found"), "{found}");
    // Without them all that is missing is named, with where it comes from.
    let missing = project.run(&["data", "table4.toml", "--data", "elsewhere"]);
    assert_eq!(missing.code, Some(4));
    for what in ["metaldam/MetalDAM", "uhcs", "aachen", "resnet50"] {
        assert!(missing.stdout.contains(what), "{what}: {}{}", missing.stdout, missing.stderr);
    }
}
