//! Parameters of which the user gives the name of a preset, a table of what differs from one, or both.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// What such parameters are made of.
pub(super) trait WithPresets: Sized {
    /// The presets' names.
    type Preset: for<'de> Deserialize<'de> + Into<Self>;
    /// The table: `preset`, and each parameter or nothing.
    type Given: for<'de> Deserialize<'de> + Into<Self>;
}

/// `"preset"`, or `{ preset = "preset", parameter = value }`. By hand: what serde derives for "one or the other" loses
/// the places of errors.
pub(super) fn deserialize<'de, D: Deserializer<'de>, P: WithPresets>(deserializer: D) -> Result<P, D::Error> {
    deserializer.deserialize_any(PresetVisitor(PhantomData))
}

struct PresetVisitor<P>(PhantomData<P>);

impl<'de, P: WithPresets> Visitor<'de> for PresetVisitor<P> {
    type Value = P;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of parameters, or the name of a preset")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<P, E> {
        P::Preset::deserialize(name.into_deserializer()).map(Into::into)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<P, A::Error> {
        P::Given::deserialize(MapAccessDeserializer::new(entries)).map(Into::into)
    }
}

/// The schema of such parameters: `T` has their types, `defaults` the values of the default preset.
pub(super) fn schema<P: JsonSchema, T: JsonSchema>(
    generator: &mut SchemaGenerator,
    defaults: &serde_json::Value,
) -> Schema {
    let name = generator.subschema_for::<P>();
    let mut table = T::json_schema(generator);
    if let Some(properties) = table.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
        for (param, schema) in properties.iter_mut() {
            if let (Some(default), Some(schema)) = (defaults.get(param), schema.as_object_mut()) {
                schema.insert("default".into(), default.clone());
            }
        }
        properties.insert("preset".into(), name.clone().to_value());
    }
    // What is not given, the preset gives.
    table.remove("required");
    table.insert("additionalProperties".into(), false.into());
    json_schema!({ "title": "the name of a preset, or a table of parameters", "anyOf": [name, table] })
}

/// A parameter that is there.
pub(super) fn given<'de, D: Deserializer<'de>, T: Given>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::read(deserializer).map(Some)
}

/// How a parameter is read.
pub(super) trait Given: Sized {
    /// From a file.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

macro_rules! plain {
    ($($type:ty),*) => {
        $(impl Given for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        })*
    };
}

plain!(bool, usize, f64, [f64; 2]);

/// One that has no value where it is not given.
impl<T: Given> Given for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }
}

/// Declares a struct of parameters, and how it is read; it is written with all its values and without the preset's
/// name, so that a preset is no part of a key.
macro_rules! with_presets {
    (
        $(#[$meta:meta])*
        pub struct $name:ident from $preset:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        const _: () = {
            use $crate::augment::preset;

            #[derive(serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct Given {
                #[serde(default)]
                preset: $preset,
                $(#[serde(default, deserialize_with = "preset::given")] $field: Option<$type>,)*
            }

            impl From<Given> for $name {
                fn from(given: Given) -> Self {
                    let preset = $name::from(given.preset);
                    $name { $($field: given.$field.unwrap_or(preset.$field),)* }
                }
            }

            impl preset::WithPresets for $name {
                type Preset = $preset;
                type Given = Given;
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    preset::deserialize(deserializer)
                }
            }

            #[derive(schemars::JsonSchema)]
            #[allow(dead_code, reason = "only its fields' names, types and comments are read")]
            struct Types {
                $($(#[$field_meta])* $field: $type,)*
            }

            impl schemars::JsonSchema for $name {
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    let defaults = serde_json::to_value($name::default()).unwrap_or_default();
                    preset::schema::<$preset, Types>(generator, &defaults)
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    $preset::default().into()
                }
            }
        };
    };
}

pub(super) use with_presets;

#[cfg(test)]
mod tests {
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
    fn a_preset_is_a_name_or_a_start() {
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
    fn errors_are_told_at_their_own_token_and_all_at_once() {
        let text = "views = { preset = 'moco', blurr = 0.3, hue = 'red', ratio = [1.0, 2.0, 3.0], blur = 0.1 }\naugment = 'no'";
        let mut errors = read(text).unwrap_err();
        errors.sort();
        let tokens: Vec<&str> = errors.iter().map(|(token, _)| token.as_str()).collect();
        assert_eq!(tokens, ["'moco'", "'no'", "'red'", "[1.0, 2.0, 3.0]", "blurr"]);
        let names = "expected one of `lightly`, `moco-v2`, `paper`, `authors-code`";
        assert_eq!(errors[0].1, format!("views.preset: unknown value `moco` for `preset`; {names}"));
        assert_eq!(errors[1].1, "augment: unknown value `no` for `augment`; expected one of `default`, `none`");
        let blurr = "views.blurr: unknown key `blurr`; expected one of `blur`, `blur_sigma`, ";
        assert!(errors[4].1.starts_with(blurr), "{}", errors[4].1);
        let errors = read("views = 3").unwrap_err();
        assert_eq!(errors[0].0, "3");
        let expected = "expected the name of a preset, or a table of parameters, found the whole number `3`";
        assert!(errors[0].1.contains(expected), "{errors:?}");
        assert_eq!(read("views = 'moco'").unwrap_err()[0].0, "'moco'");
    }

    #[test]
    fn what_is_written_is_expanded_and_reads_back() {
        let json = |params: &ViewParams| serde_json::to_string(params).unwrap();
        // The keys of old experiments hang on these very words.
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
}
