//! Reads a table of parameters as their type.

use super::inspect::{inspect, table_shape};
use super::shape::Shape;
use super::vocabulary::{ParamError, SpannedTable};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::de::{Deserializer, Error};

/// Reads a table as `T`, defaults filled in.
///
/// The table is first compared with `T`'s JSON schema. serde reads only tables that fit the schema. What it rejects
/// then is a type's own check (`#[serde(try_from)]`), with that type's own message.
///
/// # Errors
/// All differences from the schema, or else the first check that fails.
pub fn deserialize<T: DeserializeOwned + JsonSchema + 'static>(table: SpannedTable<'_>) -> Result<T, Vec<ParamError>> {
    let shape = Shape::of::<T>();
    let mismatches = inspect(&shape, &table);
    if !mismatches.is_empty() {
        return Err(mismatches.into_iter().map(|mismatch| ParamError::Mismatch(Box::new(mismatch))).collect());
    }
    read::<T>(&table).map_err(|error| vec![located::<T>(error, &shape, &table)])
}

fn read<T: DeserializeOwned>(table: &SpannedTable<'_>) -> Result<T, Error> {
    T::deserialize(Deserializer::from(table.clone()))
}

/// The error with its location. Inside `#[serde(flatten)]` serde loses the location: then it is that of the only
/// optional key without which the error disappears.
fn located<T: DeserializeOwned>(error: Error, shape: &Shape, table: &SpannedTable<'_>) -> ParamError {
    let message = error.message().to_string();
    if error.span().is_some_and(|span| span != table.span()) {
        return ParamError::Refused { span: error.span(), message };
    }
    let required = table_shape(shape).map_or(&[][..], |shape| &shape.required);
    let is_cause = |key: &str| {
        let mut rest = table.clone();
        rest.get_mut().remove(key);
        read::<T>(&rest).err().is_none_or(|other| other.message() != message)
    };
    let mut optional = table.get_ref().iter().filter(|(key, _)| !required.iter().any(|other| key.get_ref() == other));
    let cause = optional.find(|(key, _)| is_cause(key.get_ref()));
    ParamError::Refused { span: Some(cause.map_or(table.span(), |(_, value)| value.span())), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;
    use toml::de::DeTable;

    /// Two kinds of stages share a struct like this.
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Shared {
        epochs: NonZeroU32,
        #[serde(default)]
        rate: Rate,
        #[serde(default)]
        decay: Option<Rate>,
    }

    /// A type with a check of its own.
    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(try_from = "f64")]
    struct Rate(f64);

    impl TryFrom<f64> for Rate {
        type Error = String;
        fn try_from(rate: f64) -> Result<Self, String> {
            if rate >= 0.0 { Ok(Rate(rate)) } else { Err(format!("{rate} is below 0")) }
        }
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Stage {
        name: Name,
        #[serde(flatten)]
        shared: Shared,
        #[serde(default)]
        sizes: [u8; 2],
        #[serde(default)]
        at: BTreeMap<String, Place>,
        #[serde(default)]
        head: Option<Head>,
        #[serde(default)]
        own: Rate,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        Alpha,
        /// One word with a comment of its own.
        Beta,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(untagged)]
    #[schemars(title = "a place: its name, or its two coordinates")]
    enum Place {
        Named(String),
        At([f64; 2]),
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
    enum Head {
        Plain { width: u16 },
        Deep { width: u16, layers: bool },
    }

    fn read_stage(text: &str) -> Result<Stage, Vec<(String, String)>> {
        let told = |error: ParamError| {
            let (span, message) = match error {
                ParamError::Mismatch(mismatch) => (mismatch.span.clone(), mismatch.to_string()),
                ParamError::Refused { span, message } => (span.unwrap(), message),
                ParamError::Check { .. } => unreachable!(),
            };
            (text[span].to_string(), message)
        };
        deserialize(DeTable::parse(text).unwrap()).map_err(|errors| errors.into_iter().map(told).collect())
    }

    #[track_caller]
    fn refused(text: &str, expected: &[(&str, &str)]) {
        let errors = read_stage(text).unwrap_err();
        let errors: Vec<(&str, &str)> =
            errors.iter().map(|(span, message)| (span.as_str(), message.as_str())).collect();
        assert_eq!(errors, expected);
    }

    const RIGHT: &str = "name = 'beta'\nepochs = 0x10\n";

    #[test]
    fn a_table_that_fits_the_schema_is_read_with_defaults() {
        let more =
            "rate = 1\nsizes = [1, 255]\nat = { a = 'here', b = [1, 2.5] }\nhead = { kind = 'plain', width = 3 }";
        let stage = read_stage(&format!("{RIGHT}{more}")).unwrap();
        assert_eq!(stage.shared, Shared { epochs: NonZeroU32::new(16).unwrap(), rate: Rate(1.0), decay: None });
        assert_eq!((stage.name, stage.sizes, stage.head), (Name::Beta, [1, 255], Some(Head::Plain { width: 3 })));
        assert_eq!(stage.at["b"], Place::At([1.0, 2.5]));
    }

    #[test]
    fn all_errors_are_reported_at_once_each_with_its_location() {
        refused(
            "name = 'bet'\nepochs = 0\nrate = 'fast'\ndecay = nan\nsizes = [1, 256, 3]\nat = { a = 3, b = [1, 'x'] }\n\
             own = [true]\nepoch = 3",
            &[
                ("nan", "decay: wrong value for `decay`; expected a finite number, found `nan`"),
                ("'bet'", "name: unknown value `bet` for `name`; expected one of `alpha`, `beta`"),
                ("0", "epochs: `epochs` is out of range; expected a whole number above 0, found `0`"),
                ("'fast'", "rate: wrong type for `rate`; expected a number, found the string \"fast\""),
                ("[1, 256, 3]", "sizes: wrong value for `sizes`; expected a list of 2, found 3"),
                ("256", "sizes[1]: `sizes` is out of range; expected a whole number from 0 to 255, found `256`"),
                (
                    "3",
                    "at.a: wrong type for `a`; expected a place: its name, or its two coordinates, found the whole number `3`",
                ),
                ("'x'", "at.b[1]: wrong type for `b`; expected a number, found the string \"x\""),
                ("[true]", "own: wrong type for `own`; expected a number, found a list"),
                (
                    "epoch",
                    "epoch: unknown key `epoch`; expected one of `at`, `decay`, `epochs`, `head`, `name`, `own`, `rate`, `sizes`",
                ),
            ],
        );
    }

    #[test]
    fn a_missing_key_is_reported_with_its_words_and_a_misspelt_one_is_not_missing() {
        refused(
            "",
            &[
                ("", "missing `name`; `name` is needed here; expected one of `alpha`, `beta`"),
                ("", "missing `epochs`; `epochs` is needed here"),
            ],
        );
        let errors = read_stage("nam = 'beta'\nepochs = 3").unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].1.starts_with("nam: unknown key `nam`"), "{errors:?}");
    }

    #[test]
    fn a_tag_decides_which_other_keys_a_table_takes() {
        let wrong = |head: &str, span: &str, message: &str| {
            refused(&format!("{RIGHT}head = {head}"), &[(span, message)]);
        };
        wrong(
            "{ kind = 'dep' }",
            "'dep'",
            "head.kind: unknown value `dep` for `kind`; expected one of `plain`, `deep`",
        );
        wrong(
            "{ width = 3 }",
            "{ width = 3 }",
            "head: missing `kind`; `kind` is needed here; expected one of `plain`, `deep`",
        );
        wrong(
            "{ kind = 3 }",
            "3",
            "head.kind: wrong type for `kind`; expected a string, found the whole number `3`; expected one of `plain`, `deep`",
        );
        wrong(
            "{ kind = 'plain', width = 3, layers = true }",
            "layers",
            "head.layers: unknown key `layers`; expected one of `kind`, `width`",
        );
        wrong(
            "{ kind = 'deep', width = 70000, layers = true }",
            "70000",
            "head.width: `width` is out of range; expected a whole number from 0 to 65535, found `70000`",
        );
        wrong(
            "'plain'",
            "'plain'",
            "head: wrong type for `head`; expected a table `{ … }`, found the string \"plain\"",
        );
    }

    #[test]
    fn a_flattened_struct_keeps_the_locations_of_its_keys() {
        refused(
            "name = 'beta'\nepochs = -1",
            &[("-1", "epochs: `epochs` is out of range; expected a whole number above 0, found `-1`")],
        );
        // A type's own check, outside of the flattened struct and in it.
        refused(&format!("{RIGHT}own = -1.0"), &[("-1.0", "-1 is below 0")]);
        refused(&format!("{RIGHT}own = 1.0\nrate = 2.0\ndecay = -3.0"), &[("-3.0", "-3 is below 0")]);
        refused(&format!("{RIGHT}own = 1.0\nrate = -3.0\ndecay = 2.0"), &[("-3.0", "-3 is below 0")]);
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_rejected_at_any_depth() {
        refused(
            &format!("{RIGHT}at = {{ a = [1.0, -inf] }}"),
            &[("-inf", "at.a[1]: wrong value for `a`; expected a finite number, found `-inf`")],
        );
        refused(
            &format!("{RIGHT}own = 1e999"),
            &[("1e999", "own: wrong value for `own`; expected a finite number: `1e999` overflowed")],
        );
        let huge = "300000000000000000000000000000000000000000000";
        refused(
            &format!("name = 'beta'\nepochs = {huge}"),
            &[(
                huge,
                &format!(
                    "epochs: `epochs` is out of range; expected a whole number from 1 to 4294967295, found `{huge}`"
                ),
            )],
        );
    }
}
