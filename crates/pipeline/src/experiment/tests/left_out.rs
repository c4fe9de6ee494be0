//! Which stages are left out when files are missing, and what is refused as ever.

use super::super::*;
use crate::stage::{Context, Foresight, Kind, Kinds, Known, Places, StageError, StageKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads a file, if it has one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    file: String,
}

/// Reads another stage.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    of: Input,
}

/// Reads several, and does without those that are missing if it may.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sum {
    rows: Input,
    may: bool,
    #[serde(default)]
    absent: BTreeMap<String, String>,
}

fn done(_: &Known<'_>) -> Foresight {
    Foresight::nothing()
}

impl StageKind for File {
    const KIND: &'static str = "file";
    const CODE_VERSION: u32 = 1;
    fn wants(&self, _: &Places) -> Option<String> {
        self.file.strip_prefix("no ").map(|what| format!("{what} from x"))
    }
    fn foresee(&self, known: &Known<'_>) -> Foresight {
        done(known)
    }
    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}

impl StageKind for Step {
    const KIND: &'static str = "step";
    const CODE_VERSION: u32 = 1;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("of", &["file", "step"])];
    fn foresee(&self, known: &Known<'_>) -> Foresight {
        done(known)
    }
    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}

impl StageKind for Sum {
    const KIND: &'static str = "sum";
    const CODE_VERSION: u32 = 1;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("rows", &["file", "step"])];
    fn tolerates(&self) -> bool {
        self.may
    }
    fn without(&self, absent: &BTreeMap<String, String>) -> Option<Self> {
        let rows: Input = serde_json::from_value(serde_json::to_value(&self.rows).ok()?).ok()?;
        self.may.then(|| Sum { rows, may: true, absent: absent.clone() })
    }
    fn foresee(&self, known: &Known<'_>) -> Foresight {
        done(known)
    }
    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}

const KINDS: &Kinds = &[&Kind::of::<File>(), &Kind::of::<Step>(), &Kind::of::<Sum>()];

/// `a` there, `b` missing; `c` is read by a step on `b` alone.
const TEXT: &str = r#"
name = "x"
[stages]
a = { kind = "file", file = "here" }
b = { kind = "file", file = "no b.pth" }
c = { kind = "file", file = "here" }
with-b = { kind = "step", of = ["b", "c"] }
with-a = { kind = "step", of = "a" }
sum = { kind = "sum", may = true, rows = { "A" = "with-a", "B" = "with-b" } }
"#;

fn left_out(text: &str) -> (Vec<String>, Vec<LeftOut>, Experiment) {
    let mut experiment = parse_text(Path::new("x.toml"), text.to_owned(), &[], KINDS).unwrap();
    let left_out = experiment.leave_out_missing(&Places::default());
    (experiment.instances.iter().map(|instance| instance.name.clone()).collect(), left_out, experiment)
}

#[test]
fn what_needs_a_missing_file_is_left_out_with_what_only_that_needs() {
    let (names, gone, experiment) = left_out(TEXT);
    assert_eq!(names, ["a", "with-a", "sum"]);
    assert_eq!(gone, [LeftOut { reason: "b.pth from x".into(), stages: vec!["b".into(), "with-b".into()] }]);
    let sum = &experiment.instances[2];
    assert_eq!(sum.params["absent"], serde_json::json!({ "B": "b.pth from x" }));
    assert_eq!(sum.inputs, [InputRef { role: "rows", instance: 1, label: "A".into() }]);
    assert_eq!(experiment.instances[1].inputs[0].instance, 0, "indices follow");
}

#[test]
fn a_table_without_any_row_is_left_out_if_another_stays() {
    let (names, gone, _) =
        left_out(&format!("{TEXT}none = {{ kind = \"sum\", may = true, rows = {{ \"B\" = \"with-b\" }} }}\n"));
    assert_eq!((names.len(), gone[0].stages.as_slice()), (3, &["b", "with-b", "none"].map(String::from)[..]));
}

#[test]
fn nothing_is_left_out_where_something_else_needs_it() {
    let unchanged = |text: &str| {
        let (names, gone, _) = left_out(text);
        (names.len() == text.matches("kind =").count(), gone.len())
    };
    // Nobody asked for it.
    assert_eq!(unchanged(&TEXT.replace("may = true", "may = false")), (true, 0));
    // The output of a stage that cannot run is wanted itself.
    assert_eq!(unchanged(&format!("{TEXT}more = {{ kind = \"step\", of = \"with-b\" }}\n")), (true, 0));
    // No row would be left, and there is no other table.
    assert_eq!(unchanged(&TEXT.replace("\"here\"", "\"no a.pth\"")), (true, 0));
    // Nothing is missing.
    assert_eq!(unchanged(&TEXT.replace("no b.pth", "b.pth")), (true, 0));
}
