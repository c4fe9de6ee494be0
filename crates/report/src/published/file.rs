//! `published.toml`, which is part of the program.

use super::counts::Counts;
use super::score::Published;
use serde::Deserialize;
use std::collections::BTreeMap;
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
    notes: BTreeMap<String, String>,
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

/// The text of the note called `name`.
pub(crate) fn note(name: &str) -> Option<&'static str> {
    FILE.notes.get(name).map(String::as_str)
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
        assert_eq!(all().len(), 14 + 12 + 6 + 2);
        for (number, value) in all().iter().enumerate() {
            assert!(source(&value.source).is_some(), "{}", value.id);
            assert!((0.0..=100.0).contains(&value.score));
            assert!(value.notes.iter().all(|name| note(name).is_some()), "{}", value.id);
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
        let noted = |name: &str| all().iter().filter(|value| value.notes.iter().any(|own| own == name)).count();
        assert!(note("abstract-metaldam").unwrap().contains("69.13"));
        assert_eq!((noted("abstract-metaldam"), noted("transformer")), (2, 3));
    }

    /// Table 5 compares two data sets under one name: no value of EBC-3 is without a note on its images, and no source mixes the
    /// protocols.
    #[test]
    fn values_of_ebc_3_say_which_images_they_are_of() {
        for value in all().iter().filter(|value| value.id.starts_with("table5.")) {
            let of_matssl = value.corpus.as_ref().is_some_and(|corpus| corpus.starts_with("MatSSL"));
            assert_eq!(value.source, if of_matssl { "Table 5" } else { "Table 5, rows from CS-UNet" }, "{}", value.id);
            let images = if of_matssl { "folder-ebc3" } else { "one-shot" };
            assert_eq!(value.notes.iter().any(|note| note == images), value.dataset == "EBC-3", "{}", value.id);
            assert_eq!(value.notes.iter().any(|note| note == "transformer"), value.method == "Transformer");
        }
        let gains = note("folder-ebc3").unwrap();
        assert!(
            gains.contains("41.95 points") && gains.contains("27.81") && gains.contains("15 training images with 1")
        );
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
