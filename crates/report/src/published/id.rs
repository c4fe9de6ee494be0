//! Ids of published values. Reading an id refuses one that does not exist; editors offer those that do.

use super::counts::Counts;
use super::file::{all, all_counts};
use super::score::Published;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The id of a published score, e.g. `table4.metaldam.matssl.aachen+uhcs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishedId(String);

/// The id of published counts, e.g. `table1.uhcs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CountsId(String);

impl PublishedId {
    /// The score, and its index among all.
    pub(crate) fn value(&self) -> Option<(usize, &'static Published)> {
        all().iter().enumerate().find(|(_, value)| value.id == self.0)
    }
}

impl CountsId {
    /// The counts, and their index among all.
    pub(crate) fn value(&self) -> Option<(usize, &'static Counts)> {
        all_counts().iter().enumerate().find(|(_, counts)| counts.id == self.0)
    }
}

fn score_ids() -> impl Iterator<Item = &'static str> {
    all().iter().map(|value| value.id.as_str())
}

fn counts_ids() -> impl Iterator<Item = &'static str> {
    all_counts().iter().map(|counts| counts.id.as_str())
}

impl TryFrom<String> for PublishedId {
    type Error = String;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        match known(&id, score_ids) {
            Ok(()) => Ok(PublishedId(id)),
            Err(wrong) => Err(format!("there is no published value {wrong}")),
        }
    }
}

impl TryFrom<String> for CountsId {
    type Error = String;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        match known(&id, counts_ids) {
            Ok(()) => Ok(CountsId(id)),
            Err(wrong) => Err(format!("there are no published counts {wrong}")),
        }
    }
}

impl From<PublishedId> for String {
    fn from(id: PublishedId) -> String {
        id.0
    }
}

impl From<CountsId> for String {
    fn from(id: CountsId) -> String {
        id.0
    }
}

impl JsonSchema for PublishedId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PublishedId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": score_ids().collect::<Vec<_>>() })
    }
}

impl JsonSchema for CountsId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CountsId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": counts_ids().collect::<Vec<_>>() })
    }
}

/// Refuses an id that is none of `ids`, with the most similar one if there is one.
fn known<I: Iterator<Item = &'static str>>(id: &str, ids: impl Fn() -> I) -> Result<(), String> {
    if ids().any(|known| known == id) {
        return Ok(());
    }
    let shown: String = id.escape_debug().take(80).collect();
    let nearest = nearest(id, ids()).map(|id| format!("; the nearest is `{id}`")).unwrap_or_default();
    Err(format!("`{shown}`{nearest}"))
}

/// The most similar of `ids`, if at least three quarters of its letters agree with `id`.
fn nearest(id: &str, ids: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if id.len() > 200 {
        return None;
    }
    let lower = id.to_lowercase();
    let similar = |id: &'static str| {
        let distance = strsim::damerau_levenshtein(&lower, id);
        let longest = lower.chars().count().max(id.chars().count());
        (4 * distance <= longest).then_some((distance, id))
    };
    ids.filter_map(similar).min_by_key(|(distance, _)| *distance).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_id_is_refused_with_the_nearest_one() {
        let refused = |id: &str| PublishedId::try_from(id.to_owned()).unwrap_err();
        assert_eq!(
            refused("table4.metaldam.matsl.aachen+uhcs"),
            "there is no published value `table4.metaldam.matsl.aachen+uhcs`; the nearest is \
             `table4.metaldam.matssl.aachen+uhcs`"
        );
        assert_eq!(refused("\u{1b}[31m"), "there is no published value `\\u{1b}[31m`");
    }

    #[test]
    fn misspelt_counts_are_refused_with_the_nearest_ones() {
        let refused = CountsId::try_from("table3.ebc3".to_owned()).unwrap_err();
        assert_eq!(refused, "there are no published counts `table3.ebc3`; the nearest is `table3.ebc-3`");
        // A score is not a count.
        assert!(CountsId::try_from("table4.aachen.imagenet".to_owned()).is_err());
    }
}
