//! DINOv2 as an encoder: what its experiment says without weights, and its graph in small on made data.

mod common;
use common::Project;
use std::path::Path;

#[test]
fn dinov2_runs_in_small_and_says_which_weights_to_fetch() {
    let project = Project::new("");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    for name in ["dinov2.toml", "smoke-dinov2.toml"] {
        project.write(name, std::fs::read(folder.join(name)).unwrap());
    }
    project.run(&["new", "made", "--made-data"]).ok();
    let plan = project.run(&["plan", "dinov2.toml", "--data", "made"]);
    let said = format!("{}{}", plan.stdout, plan.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    for file in ["dinov2_vits14_pretrain.pth", "dinov2_vits14_reg4_pretrain.pth"] {
        assert!(said.contains(&format!("https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/{file}")), "{said}");
    }
    project.run(&["smoke-dinov2.toml", "--data", "made"]).ok();
    let table = std::fs::read_to_string(project.path("reports/smoke-dinov2/table.csv")).unwrap();
    for row in ["frozen, linear head", "with registers", "convolutional head", "fine-tuned", "U-Net"] {
        assert!(table.contains(row), "{row}: {table}");
    }
}
