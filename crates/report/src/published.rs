//! What others have published: the values of `published.toml`, beside which a table sets its own.

mod counts;

pub use counts::{Counts, CountsId, Quantity, all_counts};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `"Table 4"`, as values name it.
    pub name: String,
    /// For a reader who wants to look it up.
    pub cite: String,
    /// How the values were obtained.
    pub about: String,
}

/// One published value. It was measured by its authors, on their machines and with their code.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// How experiments name it, e.g. `table4.metaldam.matssl.aachen+uhcs`.
    pub id: String,
    /// Name of its [`Source`].
    pub source: String,
    /// Data set that was scored.
    pub dataset: String,
    /// What was trained, as the source calls it.
    pub method: String,
    /// What it was pretrained on; `None` where the source names nothing.
    pub corpus: Option<String>,
    /// mIoU, percent.
    pub score: f64,
    /// What contradicts it, or must be known of it.
    pub note: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: Vec<Source>,
    values: Vec<Published>,
    counts: Vec<Counts>,
}

static FILE: LazyLock<File> = LazyLock::new(|| {
    // A file of the program's own, which a test reads: it cannot fail where users are.
    toml::from_str(include_str!("published.toml")).unwrap_or_default()
});

/// All of them, in the order of their tables.
pub fn all() -> &'static [Published] {
    &FILE.values
}

/// The source called `name`.
pub fn source(name: &str) -> Option<&'static Source> {
    FILE.sources.iter().find(|source| source.name == name)
}

/// The id of a published value, e.g. `table4.metaldam.matssl.aachen+uhcs`: reading it refuses one that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishedId(String);

impl PublishedId {
    /// The value that it names, and its place among [`all`].
    pub fn value(&self) -> Option<(usize, &'static Published)> {
        all().iter().enumerate().find(|(_, value)| value.id == self.0)
    }
}

impl TryFrom<String> for PublishedId {
    type Error = String;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        if all().iter().any(|value| value.id == id) {
            return Ok(PublishedId(id));
        }
        let shown: String = id.escape_debug().take(80).collect();
        let nearest = nearest(&id, all().iter().map(|value| value.id.as_str()))
            .map(|id| format!("; the nearest is `{id}`"))
            .unwrap_or_default();
        Err(format!("there is no published value `{shown}`{nearest}"))
    }
}

impl From<PublishedId> for String {
    fn from(id: PublishedId) -> String {
        id.0
    }
}

/// Editors offer the ids.
impl JsonSchema for PublishedId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PublishedId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ids: Vec<&str> = all().iter().map(|value| value.id.as_str()).collect();
        json_schema!({ "type": "string", "enum": ids })
    }
}

/// The one of `ids` that `id` was probably meant to be: the most alike, if at least three quarters of it are.
fn nearest(id: &str, ids: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if id.len() > 200 {
        return None;
    }
    let lower = id.to_lowercase();
    let alike = |id: &'static str| {
        let distance = strsim::damerau_levenshtein(&lower, id);
        let longest = lower.chars().count().max(id.chars().count());
        (4 * distance <= longest).then_some((distance, id))
    };
    ids.filter_map(alike).min_by_key(|(distance, _)| *distance).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(id: &str) -> f64 {
        PublishedId::try_from(id.to_owned()).unwrap().value().unwrap().1.score
    }

    #[test]
    fn the_file_reads_and_every_value_has_a_source_and_an_id_of_its_own() {
        let file: File = toml::from_str(include_str!("published.toml")).unwrap();
        assert_eq!((&file.values[..], &file.counts[..]), (all(), all_counts()));
        assert_eq!(all().len(), 14 + 12 + 2);
        for (number, value) in all().iter().enumerate() {
            assert!(source(&value.source).is_some(), "{}", value.id);
            assert!((0.0..=100.0).contains(&value.score));
            assert!(all()[..number].iter().all(|other| other.id != value.id), "{} twice", value.id);
        }
    }

    #[test]
    fn values_and_contradictions_of_the_paper() {
        assert_eq!(score("table4.metaldam.matssl.aachen+uhcs"), 69.95);
        assert_eq!(score("table4.aachen.imagenet"), 65.59);
        assert_eq!(score("table5.ebc-3.unet++.matssl.all"), 84.53);
        // The gains the note speaks of.
        let gain = |over: &str| score("table5.ebc-3.unet++.matssl.all") - score(over);
        assert!((gain("table5.ebc-3.unet++.micronet") - 41.95).abs() < 1e-9);
        assert!((gain("table5.ebc-3.transformer.microlite") - 27.81).abs() < 1e-9);
        let contradicted = all().iter().filter(|value| value.note.as_ref().is_some_and(|note| note.contains("69.13")));
        assert_eq!(contradicted.count(), 2);
    }

    #[test]
    fn a_misspelt_id_is_refused_with_the_nearest() {
        let refused = |id: &str| PublishedId::try_from(id.to_owned()).unwrap_err();
        assert_eq!(
            refused("table4.metaldam.matsl.aachen+uhcs"),
            "there is no published value `table4.metaldam.matsl.aachen+uhcs`; the nearest is \
             `table4.metaldam.matssl.aachen+uhcs`"
        );
        assert_eq!(refused("\u{1b}[31m"), "there is no published value `\\u{1b}[31m`");
    }
}
