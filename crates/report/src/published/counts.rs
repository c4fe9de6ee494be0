//! Published counts: how many images and patches others say that they had.

use super::{FILE, nearest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is counted of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Images, of whatever splits.
    Images,
    /// Training images.
    Train,
    /// Validation images.
    Val,
    /// Test images.
    Test,
    /// Images without masks.
    Unlabeled,
    /// Patches that they are cut into.
    Patches,
}

impl Quantity {
    /// All, in the order of a table's columns.
    pub const ALL: [Quantity; 6] =
        [Quantity::Images, Quantity::Train, Quantity::Val, Quantity::Test, Quantity::Unlabeled, Quantity::Patches];

    /// The word in files and in the heads of columns.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Images => "images",
            Quantity::Train => "train",
            Quantity::Val => "val",
            Quantity::Test => "test",
            Quantity::Unlabeled => "unlabeled",
            Quantity::Patches => "patches",
        }
    }
}

/// What a source counts of one data set; `None` where it says nothing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// How experiments name it, e.g. `table1.uhcs`.
    pub id: String,
    /// Name of its [`Source`](super::Source).
    pub source: String,
    /// Which data set.
    pub dataset: String,
    images: Option<u64>,
    train: Option<u64>,
    val: Option<u64>,
    test: Option<u64>,
    unlabeled: Option<u64>,
    patches: Option<u64>,
    /// What contradicts it, or must be known of it.
    pub note: Option<String>,
}

impl Counts {
    /// What the source says of `quantity`.
    pub fn of(&self, quantity: Quantity) -> Option<u64> {
        match quantity {
            Quantity::Images => self.images,
            Quantity::Train => self.train,
            Quantity::Val => self.val,
            Quantity::Test => self.test,
            Quantity::Unlabeled => self.unlabeled,
            Quantity::Patches => self.patches,
        }
    }
}

/// All of them, in the order of their tables.
pub fn all_counts() -> &'static [Counts] {
    &FILE.counts
}

/// The id of published counts, e.g. `table1.uhcs`: reading it refuses one that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CountsId(String);

impl CountsId {
    /// The counts that it names, and their place among [`all_counts`].
    pub fn value(&self) -> Option<(usize, &'static Counts)> {
        all_counts().iter().enumerate().find(|(_, counts)| counts.id == self.0)
    }
}

fn ids() -> impl Iterator<Item = &'static str> {
    all_counts().iter().map(|counts| counts.id.as_str())
}

impl TryFrom<String> for CountsId {
    type Error = String;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        if ids().any(|known| known == id) {
            return Ok(CountsId(id));
        }
        let shown: String = id.escape_debug().take(80).collect();
        let nearest = nearest(&id, ids()).map(|id| format!("; the nearest is `{id}`")).unwrap_or_default();
        Err(format!("there are no published counts `{shown}`{nearest}"))
    }
}

impl From<CountsId> for String {
    fn from(id: CountsId) -> String {
        id.0
    }
}

/// Editors offer the ids.
impl JsonSchema for CountsId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CountsId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ids().collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;
    use matssl_data::sources::SOURCES;

    #[test]
    fn all_have_a_source_an_id_of_their_own_and_count_something() {
        for (number, counts) in all_counts().iter().enumerate() {
            assert!(source(&counts.source).is_some(), "{}", counts.id);
            assert!(all_counts()[..number].iter().all(|other| other.id != counts.id), "{} twice", counts.id);
            assert!(Quantity::ALL.iter().any(|&quantity| counts.of(quantity).is_some()), "{}", counts.id);
        }
    }

    #[test]
    fn the_patches_are_those_that_the_verb_data_knows() {
        for source in SOURCES {
            let of_table = all_counts().iter().find(|counts| counts.id == format!("table1.{}", source.format));
            let patches = of_table.and_then(|counts| counts.of(Quantity::Patches));
            assert_eq!(patches, source.paper_patches.map(|patches| patches as u64), "{}", source.name);
        }
    }

    #[test]
    fn a_misspelt_id_is_refused_with_the_nearest() {
        let refused = CountsId::try_from("table3.ebc3".to_owned()).unwrap_err();
        assert_eq!(refused, "there are no published counts `table3.ebc3`; the nearest is `table3.ebc-3`");
        // A score is no count.
        assert!(CountsId::try_from("table4.aachen.imagenet".to_owned()).is_err());
    }
}
