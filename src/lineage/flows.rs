//! Flows of images from training to scores, along the edges between stages.

use crate::data::{Manifest, Split};
use crate::experiment::Experiment;
use crate::plan::Plan;
use crate::stage::DataUse;
use std::collections::{BTreeMap, BTreeSet};

/// The images of one split of one data set: (index of its stage, split).
pub type Side = (usize, Split);

/// (trained on, scored on).
pub type Flow = (Side, Side);

/// The purpose of training on images: `pretraining`, `training`, `choice of the epoch`.
pub type How = &'static str;

/// All flows of an experiment.
#[derive(Debug, Default)]
pub struct Flows {
    /// The purposes of each flow.
    all: BTreeMap<Flow, BTreeSet<How>>,
    /// The flows that end in each scoring stage.
    of_stage: BTreeMap<usize, BTreeSet<Flow>>,
}

impl Flows {
    /// The flows to every stage that scores (`evaluate`, and `finetune` if it chooses its epoch), from all stages it
    /// depends on. Also the flows between the splits of each data set, which must be disjoint for any stages.
    pub fn of(plan: &Plan) -> Flows {
        Flows::in_experiment(&plan.experiment)
    }

    fn in_experiment(experiment: &Experiment) -> Flows {
        let instances = &experiment.instances;
        let mut flows = Flows::default();
        for (set, _) in instances.iter().enumerate().filter(|(_, instance)| instance.kind.leaves(Manifest::FILE)) {
            flows.add(None, (set, Split::Train), (set, Split::Val), "training");
            flows.add(None, (set, Split::Train), (set, Split::Test), "training");
            flows.add(None, (set, Split::Val), (set, Split::Test), "choice of the epoch");
        }
        // The training images of each stage and of all stages it depends on. Every stage comes after its inputs.
        let mut trained: Vec<BTreeSet<(Side, How)>> = Vec::with_capacity(instances.len());
        for (stage, instance) in instances.iter().enumerate() {
            let sides = |input: &str, part: &str| -> Vec<Side> {
                let split =
                    Split::named(part).unwrap_or_else(|| panic!("{}: no split is called {part}", instance.name));
                let sources = instance.inputs.iter().filter(|other| other.role == input);
                sources.map(|source| (source.instance, split)).collect()
            };
            let used = |uses: &[DataUse]| -> Vec<(Side, How)> {
                let of = |&DataUse { input, part, purpose }: &DataUse| {
                    sides(input, part).into_iter().map(move |side| (side, purpose))
                };
                uses.iter().flat_map(of).collect()
            };
            let uses = instance.stage.uses();
            let mut own: BTreeSet<(Side, How)> =
                instance.inputs.iter().flat_map(|input| trained[input.instance].iter().copied()).collect();
            own.extend(used(&uses.trained));
            for scored in uses.scored.iter().flat_map(|&(input, part)| sides(input, part)) {
                own.iter().for_each(|&(side, how)| flows.add(Some(stage), side, scored, how));
            }
            own.extend(used(&uses.chosen_by));
            trained.push(own);
        }
        flows
    }

    pub(super) fn add(&mut self, stage: Option<usize>, trained: Side, scored: Side, how: How) {
        if trained != scored {
            self.all.entry((trained, scored)).or_default().insert(how);
            if let Some(stage) = stage {
                self.of_stage.entry(stage).or_default().insert((trained, scored));
            }
        }
    }

    /// All flows, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (Flow, &BTreeSet<How>)> {
        self.all.iter().map(|(&flow, how)| (flow, how))
    }

    /// The purposes of the training images of this flow; `None` if there is no such flow.
    pub fn how(&self, flow: Flow) -> Option<&BTreeSet<How>> {
        self.all.get(&flow)
    }

    /// The flows that end in the score of this stage.
    pub fn of_stage(&self, stage: usize) -> impl Iterator<Item = Flow> + '_ {
        self.of_stage.get(&stage).into_iter().flatten().copied()
    }
}

/// The purposes as text, e.g. `pretraining, training`.
pub(super) fn words(how: &BTreeSet<How>) -> String {
    how.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ReferenceSpec;
    use crate::stage::{Context, Kind, StageError, StageKind, Uses};
    use crate::{experiment, stage};
    use std::path::Path;

    const EXPERIMENT: &str = r#"
name = "e"
[stages.here]
kind = "synthesize"
size = 64
[stages.there]
kind = "synthesize"
size = 64
[stages.patches]
kind = "patchify"
dataset = "there"
use = "all-but-test"
size = 32
[stages.ssl]
kind = "pretrain"
patches = "patches"
method = "simclr"
encoder = { arch = "resnet18", width = 8, weights = "random" }
epochs = 1
[stages.segment]
kind = "finetune"
dataset = "there"
encoder = "ssl"
epochs = 1
[stages.plain]
kind = "finetune"
dataset = "here"
encoder = { arch = "resnet18", width = 8, weights = "random" }
select_on = "test"
epochs = 1
[stages.again]
kind = "finetune"
dataset = "here"
model = "segment"
epochs = 1
[stages.scored]
kind = "evaluate"
dataset = "here"
model = "again"
[stages.moved]
kind = "evaluate"
dataset = "here"
model = "segment"
[stages.own]
kind = "evaluate"
dataset = "here"
model = "plain"
"#;

    #[test]
    fn flows_to_a_score_are_the_training_images_of_its_model() {
        let path = Path::new("e.toml");
        let experiment = experiment::parse_text(path, EXPERIMENT.into(), &[], stage::KINDS).unwrap();
        let flows = Flows::in_experiment(&experiment);
        let named = |name: &str| experiment.instances.iter().position(|i| i.label() == name).unwrap();
        let side = |(set, split): Side| format!("{} {}", experiment.instances[set].name, split.name());
        let of = |stage: &str| -> Vec<String> {
            let stage = named(stage);
            let flows = flows.of_stage(stage).map(|flow| {
                let how = words(flows.how(flow).unwrap());
                format!("{} → {}: {how}", side(flow.0), side(flow.1))
            });
            flows.collect()
        };
        let mut moved = of("moved");
        moved.sort();
        assert_eq!(
            moved,
            [
                "there train → here test: pretraining, training",
                "there unlabeled → here test: pretraining",
                // Images for pretraining that also choose the epoch.
                "there val → here test: choice of the epoch, pretraining",
            ]
        );
        // A model that starts from another one was trained on the images of both.
        let mut scored = of("scored");
        scored.sort();
        assert_eq!(scored[0], "here train → here test: training");
        assert_eq!(scored[1], "here val → here test: choice of the epoch");
        assert_eq!(scored[2..], moved, "and all that the first one was");
        assert_eq!(of("own"), ["here train → here test: training"]);
        assert_eq!(of("plain"), ["here train → here test: training"]);
        assert!(of("segment").iter().all(|flow| flow.contains("→ there val") && !flow.starts_with("there val")));
        let here = named("here");
        let within = flows.how(((here, Split::Val), (here, Split::Test)));
        assert_eq!(within.map(words).as_deref(), Some("choice of the epoch"), "for any stages");
    }

    /// A kind only for this test. It trains on the validation images and scores the test images.
    #[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Toy {
        images: experiment::Input,
    }

    impl StageKind for Toy {
        const KIND: &'static str = "toy";
        const CODE_VERSION: u32 = 1;
        const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::one("images", &["synthesize"])];

        fn uses(&self) -> Uses {
            let trained = DataUse { input: "images", part: "val", purpose: "calibration" };
            Uses { trained: vec![trained], scored: vec![("images", "test")], ..Uses::default() }
        }

        fn foresee(&self, _: &stage::Known<'_>) -> stage::Foresight {
            stage::Foresight::nothing()
        }

        fn run(&self, _: &mut Context) -> Result<(), StageError> {
            Ok(())
        }
    }

    #[test]
    fn a_new_kind_declares_its_training_images() {
        let text = "name = 'e'\n[stages.data]\nkind = 'synthesize'\nsize = 64\n\
                    [stages.toy]\nkind = 'toy'\nimages = 'data'\n";
        let toy: &Kind = const { &Kind::of::<Toy>() };
        let kinds: Vec<&Kind> = stage::KINDS.iter().copied().chain([toy]).collect();
        let experiment = experiment::parse_text(Path::new("e.toml"), text.into(), &[], &kinds).unwrap();
        let flows = Flows::in_experiment(&experiment);
        let found: Vec<Flow> = flows.of_stage(1).collect();
        assert_eq!(found, [((0, Split::Val), (0, Split::Test))]);
        assert!(flows.how(found[0]).unwrap().contains("calibration"));
    }
}
