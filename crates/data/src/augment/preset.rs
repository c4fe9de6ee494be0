//! Parameters that are given as the name of a preset, or as a table of the values that differ from a preset.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Parameters with presets.
pub(super) trait WithPresets: Sized {
    /// The presets' names.
    type Preset: for<'de> Deserialize<'de> + Into<Self>;
    /// The table: `preset`, and each parameter or nothing.
    type Given: for<'de> Deserialize<'de> + Into<Self>;
}

/// Reads `"preset"`, or `{ preset = "preset", parameter = value }`. An untagged enum of serde would lose the positions of
/// errors.
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

/// Reads a parameter that is given.
pub(super) fn given<'de, D: Deserializer<'de>, T: Given>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::read(deserializer).map(Some)
}

/// A type of a parameter.
pub(super) trait Given: Sized {
    /// Reads a value.
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

/// A parameter that may have no value.
impl<T: Given> Given for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }
}

/// Declares a struct of parameters and how it is read. It is written with all values and without the preset's name, so that
/// a preset is no part of a key.
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
