//! Parameters with presets, as users write them.

use crate::augment::{FinetuneAugment, ViewParams, ViewPreset};
use matssl_pipeline::experiment::{self, ParamError};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stage {
    #[serde(default)]
    views: ViewParams,
    #[serde(default)]
    augment: FinetuneAugment,
}

fn read(text: &str) -> Result<Stage, Vec<(String, String)>> {
    let told = |error: ParamError| match error {
        ParamError::Mismatch(mismatch) => (text[mismatch.span.clone()].to_owned(), mismatch.to_string()),
        ParamError::Refused { span, message } => (text[span.unwrap()].to_owned(), message),
        ParamError::Check { param, message } => (param.to_owned(), message),
    };
    experiment::deserialize(toml::de::DeTable::parse(text).unwrap())
        .map_err(|errors| errors.into_iter().map(told).collect())
}

#[test]
fn a_preset_is_a_name_or_a_start_for_other_values() {
    let moco = ViewParams::from(ViewPreset::MocoV2);
    assert_eq!(read("views = 'moco-v2'").unwrap().views, moco);
    assert_eq!(read("views = { preset = 'moco-v2' }").unwrap().views, moco);
    let expected = ViewParams { blur: 0.3, blur_sigma: [0.5, 1.0], ..moco };
    // In any order.
    let text = "[views]\nblur = 0.3\npreset = 'moco-v2'\nblur_sigma = [0.5, 1.0]";
    assert_eq!(read(text).unwrap().views, expected);
    assert_eq!(read("").unwrap().views, ViewParams::from(ViewPreset::Lightly));
    assert_eq!(read("views = { hue = 0.1 }").unwrap().views, ViewParams { hue: 0.1, ..ViewParams::default() });
    let none = read("augment = 'none'").unwrap().augment;
    assert_eq!(none, FinetuneAugment::none());
    let text = "augment = { preset = 'none', turn = true, crop_size = 32 }";
    assert_eq!(read(text).unwrap().augment, FinetuneAugment { turn: true, crop_size: Some(32), ..none });
}

#[test]
fn all_errors_are_reported_at_once_each_at_its_token() {
    let text =
        "views = { preset = 'moco', blurr = 0.3, hue = 'red', ratio = [1.0, 2.0, 3.0], blur = 0.1 }\naugment = 'no'";
    let mut errors = read(text).unwrap_err();
    errors.sort();
    let tokens: Vec<&str> = errors.iter().map(|(token, _)| token.as_str()).collect();
    assert_eq!(tokens, ["'moco'", "'no'", "'red'", "[1.0, 2.0, 3.0]", "blurr"]);
    let names = "expected one of `lightly`, `moco-v2`, `paper`, `authors-code`, `micrographs`";
    assert_eq!(errors[0].1, format!("views.preset: unknown value `moco` for `preset`; {names}"));
    assert_eq!(
        errors[1].1,
        "augment: unknown value `no` for `augment`; expected one of `default`, `light`, `nnunet`, `none`"
    );
    let blurr = "views.blurr: unknown key `blurr`; expected one of `blur`, `blur_sigma`, ";
    assert!(errors[4].1.starts_with(blurr), "{}", errors[4].1);
    let errors = read("views = 3").unwrap_err();
    assert_eq!(errors[0].0, "3");
    let expected = "expected the name of a preset, or a table of parameters, found the whole number `3`";
    assert!(errors[0].1.contains(expected), "{errors:?}");
    assert_eq!(read("views = 'moco'").unwrap_err()[0].0, "'moco'");
}

#[test]
fn presets_are_written_expanded_and_read_back() {
    let json = |params: &ViewParams| serde_json::to_string(params).unwrap();
    // The keys of old experiments depend on these exact words.
    assert_eq!(
        json(&ViewParams::default()),
        r#"{"size":224,"min_scale":0.08,"ratio":[0.75,1.3333333333333333],"horizontal_flip":0.5,"vertical_flip":0.0,"jitter":0.8,"brightness":0.8,"contrast":0.8,"saturation":0.8,"hue":0.2,"grayscale":0.2,"blur":0.5,"blur_sigma":[0.1,2.0]}"#
    );
    assert_eq!(
        serde_json::to_string(&FinetuneAugment::default()).unwrap(),
        r#"{"flip":true,"turn":true,"brightness":0.2,"contrast":0.2}"#
    );
    let paper = read("views = 'paper'").unwrap().views;
    assert_eq!(json(&paper), json(&read("views = { brightness = 0.1, contrast = 0.1 }").unwrap().views));
    for preset in [ViewPreset::Lightly, ViewPreset::MocoV2, ViewPreset::Paper, ViewPreset::AuthorsCode] {
        let params = ViewParams { max_scale: 0.9, ..preset.into() };
        assert_eq!(serde_json::from_str::<ViewParams>(&json(&params)).unwrap(), params);
        assert_eq!(params.check(), Ok(()));
    }
}
