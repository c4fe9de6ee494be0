//! `published.toml`, which is part of the program.

use super::counts::Counts;
use super::score::Published;
use serde::Deserialize;
use std::sync::LazyLock;

/// A published table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Its name, which values refer to: `"Table 4"`.
    pub(crate) name: String,
    /// Its citation.
    pub(crate) cite: String,
    /// How the values were obtained.
    pub(crate) about: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: Vec<Source>,
    values: Vec<Published>,
    counts: Vec<Counts>,
}

static FILE: LazyLock<File> = LazyLock::new(|| {
    // A test reads the file, so that reading it cannot fail for users.
    toml::from_str(include_str!("../published.toml")).unwrap_or_default()
});

/// All published scores, in the order of their tables.
pub(super) fn all() -> &'static [Published] {
    &FILE.values
}

/// All published counts, in the order of their tables.
pub(super) fn all_counts() -> &'static [Counts] {
    &FILE.counts
}

/// The source called `name`.
pub(crate) fn source(name: &str) -> Option<&'static Source> {
    FILE.sources.iter().find(|source| source.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::counts::Quantity;
    use super::*;
    use matssl_data::sources::SOURCES;

    #[test]
    fn the_file_can_be_read_and_every_value_has_a_source_and_its_own_id() {
        let file: File = toml::from_str(include_str!("../published.toml")).unwrap();
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
        let score = |id: &str| all().iter().find(|value| value.id == id).unwrap().score;
        assert_eq!(score("table4.metaldam.matssl.aachen+uhcs"), 69.95);
        assert_eq!(score("table4.aachen.imagenet"), 65.59);
        assert_eq!(score("table5.ebc-3.unet++.matssl.all"), 84.53);
        // The gains in the note.
        let gain = |over: &str| score("table5.ebc-3.unet++.matssl.all") - score(over);
        assert!((gain("table5.ebc-3.unet++.micronet") - 41.95).abs() < 1e-9);
        assert!((gain("table5.ebc-3.transformer.microlite") - 27.81).abs() < 1e-9);
        let contradicted = all().iter().filter(|value| value.note.as_ref().is_some_and(|note| note.contains("69.13")));
        assert_eq!(contradicted.count(), 2);
    }

    #[test]
    fn all_counts_have_a_source_their_own_id_and_a_number() {
        for (number, counts) in all_counts().iter().enumerate() {
            assert!(source(&counts.source).is_some(), "{}", counts.id);
            assert!(all_counts()[..number].iter().all(|other| other.id != counts.id), "{} twice", counts.id);
            assert!(Quantity::ALL.iter().any(|&quantity| counts.of(quantity).is_some()), "{}", counts.id);
        }
    }

    #[test]
    fn numbers_of_patches_are_those_of_the_data_sets() {
        for source in SOURCES {
            let of_table = all_counts().iter().find(|counts| counts.id == format!("table1.{}", source.format));
            let patches = of_table.and_then(|counts| counts.of(Quantity::Patches));
            assert_eq!(patches, source.paper_patches.map(|patches| patches as u64), "{}", source.name);
        }
    }
}
