//! Stages that are divided into parts, and stages that take several others where they say so.

use super::*;
use crate::stage::{Foresight, InputStages, Known, Stage};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Train {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    folds: Option<u32>,
    #[serde(default)]
    fold: Option<u32>,
}

impl StageKind for Train {
    const KIND: &'static str = "train";
    const CODE_VERSION: u32 = 1;
    const DIVIDED: Option<Division> = Some(Division { count: "folds", index: "fold" });

    fn check(&self) -> Result<(), ParamError> {
        match (self.folds, self.fold) {
            (Some(_), None) => Err(ParamError::Check { param: "folds", message: "expected 2 to 20".into() }),
            _ => Ok(()),
        }
    }

    fn draws(&self) -> bool {
        true
    }

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Judge {
    model: Input,
    #[serde(default)]
    ensemble: Option<String>,
    #[serde(default)]
    split: Option<String>,
    /// What it was given to settle.
    #[serde(default)]
    read: Vec<String>,
}

impl StageKind for Judge {
    const KIND: &'static str = "judge";
    const CODE_VERSION: u32 = 1;
    const REFERENCES: &'static [ReferenceSpec] =
        &[ReferenceSpec::one("model", &["train"]).several_with("ensemble").several_if("split", "out-of-fold")];

    fn settle(mut self, inputs: &mut InputStages<'_>) -> Result<Self, ParamError> {
        let fold = |stage: &dyn Stage| stage.as_any().downcast_ref::<Train>().and_then(|train| train.fold);
        self.read = inputs.map(|input| format!("{} {} {:?}", input.param, input.label, fold(input.stage))).collect();
        match self.split.as_deref() {
            Some("none") => Err(ParamError::Check { param: "split", message: "nothing to settle".into() }),
            _ => Ok(self),
        }
    }

    fn gathers_seeds(&self, role: &str) -> bool {
        role == "model" && self.ensemble.as_deref() == Some("seeds")
    }

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}

fn parsed(text: &str) -> Result<Experiment, Diagnostics> {
    let kinds = [const { &Kind::of::<Train>() }, const { &Kind::of::<Judge>() }];
    parse_text(Path::new("a.toml"), format!("name = 'e'\n{text}"), &[], &kinds)
}

fn right(text: &str) -> Experiment {
    parsed(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

const MATRIX: &str =
    "seeds = [3, 4]\n[stages.segment]\nkind = 'train'\nfolds = 3\nmatrix.method = ['matssl', 'random']\n";

#[test]
fn a_count_stands_for_as_many_stages() {
    let experiment = right("[stages.segment]\nkind = 'train'\nfolds = 3\n");
    assert_eq!(names(&experiment), ["segment.fold1@0", "segment.fold2@0", "segment.fold3@0"]);
    let last = &experiment.instances[2];
    assert_eq!(last.axes, [("fold".to_owned(), "fold3".to_owned())]);
    assert_eq!(last.params.to_string(), r#"{"fold":3,"folds":3,"method":null}"#);
    let experiment = right("[stages.segment]\nkind = 'train'\nfolds = 3\nfold = 2\n");
    assert_eq!(names(&experiment), ["segment@0"], "only this part");
    let experiment = right("[stages.segment]\nkind = 'train'\nmatrix.folds = [2, 3]\n");
    let expected =
        ["segment.2.fold1@0", "segment.2.fold2@0", "segment.3.fold1@0", "segment.3.fold2@0", "segment.3.fold3@0"];
    assert_eq!(names(&experiment), expected);
    assert_eq!(names(&right("[stages.segment]\nkind = 'train'\n")), ["segment@0"]);
}

#[test]
fn a_count_that_is_out_of_range_is_the_kinds_to_refuse() {
    for count in ["1", "21", "0"] {
        let wrong = parsed(&format!("[stages.segment]\nkind = 'train'\nfolds = {count}\n")).unwrap_err().render(false);
        assert!(wrong.contains("expected 2 to 20"), "{wrong}");
    }
    let wrong = parsed("max_stages = 4\n[stages.segment]\nkind = 'train'\nfolds = 5\n").unwrap_err().render(false);
    assert!(wrong.contains("`folds` makes more than 4 stages of `segment`"), "{wrong}");
}

#[test]
fn parts_are_taken_together_by_the_name_of_their_stage() {
    let judge = |lines: &str| right(&format!("{MATRIX}[stages.test]\nkind = 'judge'\n{lines}\n"));
    // Each part by itself, for each seed.
    let each = judge("matrix.model = ['segment.matssl']");
    let labels: Vec<String> = names(&each)[12..].iter().map(|name| name.to_string()).collect();
    assert_eq!(labels[..2], ["test.segment.matssl.fold1@3", "test.segment.matssl.fold1@4"]);
    assert_eq!(labels.len(), 6);
    // All parts of one stage together: one stage for each method and seed.
    for lines in ["matrix.model = ['segment.*']", "matrix.model = ['segment.matssl', 'segment.random']"] {
        let together = judge(&format!("ensemble = 'yes'\n{lines}"));
        let expected = ["matssl@3", "matssl@4", "random@3", "random@4"].map(|name| format!("test.segment.{name}"));
        assert_eq!(names(&together)[12..], expected, "{lines}");
        assert_eq!(
            inputs(&together, "test.segment.random@4"),
            [1, 2, 3].map(|fold| format!("model=segment.random.fold{fold} → segment.random.fold{fold}@4"))
        );
    }
    // Also in the combinations that a matrix lists.
    let listed = judge("matrix.include = [{ name = 'all', model = 'segment.random', ensemble = 'yes' }]");
    assert_eq!(names(&listed)[12..], ["test.all@3", "test.all@4"]);
    assert_eq!(inputs(&listed, "test.all@4").len(), 3);
    // Of all seeds together: a stage without a seed.
    let seeds = judge("ensemble = 'seeds'\nmodel = 'segment.random'");
    assert_eq!(names(&seeds)[12..], ["test"]);
    assert_eq!(inputs(&seeds, "test").len(), 6);
    let wrong = parsed(&format!("{MATRIX}[stages.test]\nkind = 'judge'\nmodel = 'segment.matssl'\n"));
    let wrong = wrong.unwrap_err().render(false);
    assert!(wrong.contains("names 3 stages") && wrong.contains("`ensemble = true` one of all together"), "{wrong}");
}

#[test]
fn a_stage_settles_what_it_leaves_open_by_the_stages_that_it_reads() {
    let text =
        |split: &str| format!("{MATRIX}[stages.test]\nkind = 'judge'\nmodel = 'segment.matssl'\nsplit = '{split}'\n");
    let experiment = right(&text("out-of-fold"));
    let test = experiment.instances.last().unwrap();
    let expected = [1, 2, 3].map(|fold| format!("model segment.matssl.fold{fold} Some({fold})"));
    assert_eq!(test.params["read"], serde_json::json!(expected), "and the key holds it");
    let wrong = parsed(&text("test")).unwrap_err().render(false);
    assert!(wrong.contains("names 3 stages"), "{wrong}");
    let wrong = parsed(&text("none").replace("segment.matssl", "segment.matssl.fold1")).unwrap_err().render(false);
    assert!(wrong.contains("nothing to settle") && wrong.contains("split = 'none'"), "{wrong}");
}
