//! `synthesize`: generates micrographs with exact masks, to try out the program, to test it, and to pretrain on.

use super::data_set::{manifests_of, open_dataset};
use super::errors::data_error;
use super::outlook::Outlook;
use super::{Context, DataUse, Foresight, Known, StageError, StageKind, Uses, images};
use crate::data::synthesize::{
    Likeness, MEASURED, StyleReport, SynthesizeParams, outline, synthesize, synthesize_like,
};
use crate::data::{Manifest, Split};
use crate::experiment::{self, Input, ParamError, ReferenceSpec, SpannedTable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Generates micrographs. Writes `manifest.json`, images and masks; with `like` also `style.json`: the style of the real images, and
/// of the synthetic ones with and without it. Uses its own `seed`, not the experiment's, so that the data do not change with the
/// experiment's seeds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Synthesize {
    #[serde(flatten)]
    params: SynthesizeParams,
    /// A real data set that the images shall resemble: in their grey values, their noise and the scale of their texture, which are
    /// measured on its training and unlabelled images, never on validation or test images. It replaces `grain`, `noise` and
    /// `imaging`: each picture gets the style of one of the measured images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    like: Option<Input>,
}

/// The parameter `like`, and the role of its input.
const LIKE: &str = "like";

/// What `like` replaces.
const REPLACED: [&str; 3] = ["grain", "noise", "imaging"];

impl StageKind for Synthesize {
    const KIND: &'static str = "synthesize";
    const CODE_VERSION: u32 = 3;
    const LEAVES: &'static [&'static str] = &[
        Manifest::FILE,
        Manifest::part(Split::Train),
        Manifest::part(Split::Val),
        Manifest::part(Split::Test),
        Manifest::part(Split::Unlabeled),
        StyleReport::FILE,
    ];
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::one(LIKE, &["dataset", "synthesize"]).or_value()];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let written = |param: &str| table.get_ref().contains_key(param);
        let idle = REPLACED.into_iter().filter(|param| written(LIKE) && written(param));
        let mut errors: Vec<ParamError> = idle
            .map(|param| {
                let message = format!("`{param}` has no effect with `like`, which measures it: leave out one of them");
                ParamError::Check { param, message }
            })
            .collect();
        let stage = experiment::deserialize::<Self>(table).map_err(|more| errors.extend(more)).ok();
        stage.filter(|_| errors.is_empty()).ok_or(errors)
    }

    fn check(&self) -> Result<(), ParamError> {
        self.params.check().map_err(|(param, message)| ParamError::Check { param, message })
    }

    fn uses(&self) -> Uses {
        let of = |split: Split| DataUse { input: LIKE, part: split.name(), purpose: "style of synthetic images" };
        Uses { trained: self.like.iter().flat_map(|_| MEASURED.map(of)).collect(), ..Uses::default() }
    }

    fn reads(&self, role: &str) -> Vec<String> {
        if role == LIKE { manifests_of(MEASURED) } else { Vec::new() }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        if let Some((name, real)) = Outlook::images(known, LIKE)
            && MEASURED.iter().all(|split| real.entries(*split).is_empty())
        {
            return Foresight::of(Err(nothing_to_measure(name)));
        }
        let manifest = known.output.as_ref().and_then(|output| Manifest::read(&output.file(Manifest::FILE)?).ok());
        let manifest = manifest.unwrap_or_else(|| outline(&self.params));
        Foresight { prospect: Some(images(&manifest)), ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let out = context.out.clone();
        if self.like.is_none() {
            synthesize(&self.params, &out, &context.image_counter()).map_err(data_error)?;
            return Ok(());
        }
        let real = open_dataset(context.input(LIKE)?)?;
        let likeness = Likeness::measure(&self.params, &real).map_err(data_error)?;
        let name = &context.input(LIKE)?.label;
        let likeness = likeness.ok_or_else(|| StageError::BadData(nothing_to_measure(name)))?;
        let (_, report) =
            synthesize_like(&self.params, &likeness, &out, &context.image_counter()).map_err(data_error)?;
        let StyleReport { target, before, after, images, grain } = report;
        let differences = |style: &crate::data::synthesize::Style| serde_json::json!(style.differences(&target));
        context.telemetry.insert("style_images".into(), images.into());
        context.telemetry.insert("style_grain".into(), grain.into());
        context.telemetry.insert("style_difference_before".into(), differences(&before));
        context.telemetry.insert("style_difference".into(), differences(&after));
        Ok(())
    }
}

fn nothing_to_measure(name: &str) -> String {
    format!(
        "`like`: data set {name} has no training or unlabelled images, whose style could be measured; validation and test images \
         do not count"
    )
}

#[cfg(test)]
mod tests {
    use super::super::pretrain::tests::{context, parse, refused};
    use super::*;
    use std::path::{Path, PathBuf};

    #[test]
    fn keys_are_as_they_were_without_the_new_options() {
        let json = |text: &str| serde_json::to_string(&parse::<Synthesize>(text).unwrap()).unwrap();
        assert_eq!(
            json("size = 64\ngrain = 12\n"),
            r#"{"size":64,"unlabeled":16,"train":8,"val":4,"test":4,"seed":0,"grain":12.0,"noise":1.0,"shading":1.0,"scratches":1.5}"#
        );
        assert_eq!(json("structure = 'steel'"), json(""));
        assert!(json("structure = 'dendrites'").starts_with(r#"{"structure":"dendrites","#));
        let back: Synthesize = serde_json::from_str(&json("like = '<input>'\nsize = 32")).unwrap();
        assert_eq!((back.like, back.params.size), (Some(Input), 32));
    }

    #[test]
    fn what_has_no_effect_or_does_not_exist_is_refused() {
        for param in ["grain = 30", "noise = 1.0", "imaging = 0.5"] {
            let message = refused::<Synthesize>(&format!("like = '<input>'\n{param}\n"));
            assert!(message.contains("has no effect with `like`, which measures it: leave out one"), "{message}");
        }
        let message = refused::<Synthesize>("structure = 'needle'");
        assert!(message.contains("expected one of `steel`, `needles`, `dendrites`, `cracks`, `coating`"), "{message}");
        assert!(refused::<Synthesize>("sise = 3").contains("unknown key `sise`"));
        assert!(refused::<Synthesize>("size = 3").contains("3 is out of range: 16 to 16384 pixels"));
    }

    #[test]
    fn only_training_and_unlabelled_images_are_read_and_they_count_as_trained_on() {
        let like: Synthesize = parse("like = '<input>'").unwrap();
        assert_eq!(StageKind::reads(&like, LIKE), ["manifest.train.json", "manifest.unlabeled.json"]);
        let parts = |stage: &Synthesize| StageKind::uses(stage).trained.iter().map(|of| of.part).collect::<Vec<_>>();
        assert_eq!(parts(&like), ["train", "unlabeled"]);
        assert_eq!(parts(&parse("").unwrap()), [""; 0]);
    }

    /// The files of a synthetic data set as another stage sees them.
    fn made(folder: &Path, text: &str) -> Vec<(&'static str, PathBuf)> {
        std::fs::create_dir_all(folder).unwrap();
        let mut context = context(folder, "none", &[]);
        parse::<Synthesize>(text).unwrap().run(&mut context).unwrap();
        let mut files = Vec::new();
        for inside in ["", "images", "masks"] {
            for entry in std::fs::read_dir(context.out.join(inside)).unwrap().flatten() {
                let name = Path::new(inside).join(entry.file_name()).display().to_string();
                if entry.path().is_file() {
                    files.push((&*name.leak(), entry.path()));
                }
            }
        }
        files
    }

    #[test]
    fn pictures_come_out_in_the_style_of_the_data_set() {
        let folder = tempfile::tempdir().unwrap();
        let real = "size = 80\ngrain = 14\nnoise = 2.5\nseed = 5\ntrain = 2\nunlabeled = 2\nval = 1\ntest = 1";
        let files = made(&folder.path().join("real"), real);
        let run = |files: &[(&str, PathBuf)], name: &str| {
            let mut context = context(&folder.path().join(name), LIKE, files);
            let text =
                "like = '<input>'\nstructure = 'coating'\nsize = 80\ntrain = 2\nunlabeled = 1\nval = 1\ntest = 1";
            parse::<Synthesize>(text).unwrap().run(&mut context).map(|()| context)
        };
        let context = run(&files, "made").unwrap();
        let report = std::fs::read(context.out.join(StyleReport::FILE)).unwrap();
        let report: StyleReport = serde_json::from_slice(&report).unwrap();
        assert_eq!(report.images, 4);
        let (before, after) = (report.before.differences(&report.target), report.after.differences(&report.target));
        assert!(after[0] < 0.5 * before[0] && after[1] < before[1], "{before:?} {after:?}");
        let manifest = Manifest::read(&context.out.join(Manifest::FILE)).unwrap();
        assert_eq!(manifest.classes, ["coating", "oxide", "substrate", "crack", "pore"]);
        // The same bytes without the images that must not count.
        let picture = |context: &Context| std::fs::read(context.out.join("images/train-001.png")).unwrap();
        for (_, path) in files.iter().filter(|(name, _)| name.contains("images/val") || name.contains("images/test")) {
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(picture(&run(&files, "again").unwrap()), picture(&context));
        // Nothing to measure.
        let none = made(&folder.path().join("none"), "size = 32\ntrain = 0\nunlabeled = 0\nval = 1\ntest = 1");
        let Err(StageError::BadData(message)) = run(&none, "nothing").map(drop) else { panic!("no images") };
        assert!(message.contains("has no training or unlabelled images"), "{message}");
    }
}
