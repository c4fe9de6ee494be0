//! The parts of an experiment file: its head, and its families of stages.

use super::diagnostic::Diagnostic;
use super::families::{Entry, Family, Reader, SECTIONS, clashes, name_of};
use super::source::Sources;
use super::syntax::wrong_type;
use crate::parameters::wording::{self, quote};
use crate::stage::Kinds;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file, taken apart.
pub(super) struct Document<'i> {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) seeds: Vec<u64>,
    pub(super) max_stages: usize,
    /// In the order of the file.
    pub(super) families: Vec<Family<'i>>,
}

const HEAD: [&str; 6] = ["name", "title", "seeds", "max_stages", "extends", "remove"];

const MINIMAL: &str = "an experiment needs at least a name and a stage:\n\
                       name = \"my-experiment\"\n\
                       [stages.NAME]\n\
                       kind = \"…\"";

/// The default of `max_stages`.
pub(super) const MOST_STAGES: usize = 10_000;

/// Reads the tree; `None` if it is empty.
pub(super) fn read<'i>(
    root: DeTable<'i>,
    sources: &Sources,
    vocabulary: &Kinds,
    faults: &mut Vec<Diagnostic>,
) -> Option<Document<'i>> {
    let (text, start) = sources.own();
    if root.is_empty() {
        let what = if text.trim().is_empty() { "is empty" } else { "holds only comments" };
        faults.push(Diagnostic::new(start..start, format!("the experiment file {what}")).help(MINIMAL.to_string()));
        return None;
    }
    let mut document = Document {
        name: String::new(),
        title: String::new(),
        seeds: vec![0],
        max_stages: MOST_STAGES,
        families: Vec::new(),
    };
    let (mut named, mut titled) = (false, false);
    let mut entries: Vec<Entry<'i>> = root.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let first = entries.iter().map(|(key, _)| key.span()).find(|span| span.start >= start).unwrap_or(start..start);
    for (key, value) in entries {
        let word = key.get_ref().as_ref();
        match word {
            "name" => {
                named = true;
                document.name = name_of(word, &value, faults).unwrap_or_default();
            }
            "title" => match value.get_ref() {
                DeValue::String(text) => (titled, document.title) = (true, text.to_string()),
                _ => faults.push(wrong_type(word, &value, "a string")),
            },
            "seeds" => document.seeds = seeds(&value, faults).unwrap_or(document.seeds),
            "max_stages" => match value.get_ref() {
                DeValue::Integer(number) if whole(number).is_some_and(|n| n > 0) => {
                    document.max_stages = whole(number).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
                }
                _ => faults.push(wrong_type(word, &value, "a whole number above 0")),
            },
            // Those of the files are taken out before; these come from a flag.
            "extends" | "remove" => {
                let fault = Diagnostic::new(key.span(), format!("`{word}` cannot be set on the command line"));
                faults.push(fault.label("write it in the experiment file"));
            }
            _ => {
                let words = || HEAD.into_iter().chain(SECTIONS.map(|(word, ..)| word));
                let known = SECTIONS.iter().find(|(section, ..)| *section == word);
                let meant = wording::nearest(word, words());
                if known.is_none() {
                    faults.push(
                        Diagnostic::new(key.span(), format!("unknown key {}", quote(word)))
                            .label("an experiment file has no such key")
                            .meant(meant)
                            .note(wording::expected_one_of(words())),
                    );
                }
                // `[stage.x]` is read as `[stages.x]`: otherwise every reference to it would be an error, too.
                let section = known.or_else(|| SECTIONS.iter().find(|(section, ..)| Some(*section) == meant));
                if let Some((section, kind, listed)) = section {
                    let mut reader =
                        Reader { section, kind: *kind, vocabulary, families: &mut document.families, faults };
                    if *listed { reader.list(value) } else { reader.named(value) }
                }
            }
        }
    }
    if !named {
        faults.push(
            Diagnostic::new(first, "the experiment has no `name`")
                .label("expected `name = \"…\"` before this")
                .note("the reports go into a folder of this name".to_string())
                .note(sources.extends().then(|| "the name of the extended file is not taken over".into())),
        );
    }
    if !titled {
        document.title.clone_from(&document.name);
    }
    document.families.sort_by_key(|family| family.place.start);
    if document.families.is_empty() && faults.is_empty() {
        faults.push(Diagnostic::new(start..start, "the experiment has no stages").help(MINIMAL.to_string()));
    }
    clashes(&document.families, faults);
    Some(document)
}

fn whole(number: &toml::de::DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn seeds(value: &Spanned<DeValue<'_>>, faults: &mut Vec<Diagnostic>) -> Option<Vec<u64>> {
    let DeValue::Array(array) = value.get_ref() else {
        let fault = wrong_type("seeds", value, "a list of whole numbers");
        faults.push(fault.help("`seeds = [0, 1, 2]` repeats every stage that draws at random three times".to_string()));
        return None;
    };
    let mut seeds: Vec<u64> = Vec::new();
    let mut spans: BTreeMap<u64, Range<usize>> = BTreeMap::new();
    for item in array {
        let seed = match item.get_ref() {
            DeValue::Integer(number) => whole(number),
            _ => None,
        };
        let Some(seed) = seed else {
            faults.push(
                Diagnostic::new(item.span(), "this is not a seed").label("expected a whole number from 0 to 2⁶⁴ − 1"),
            );
            continue;
        };
        match spans.get(&seed) {
            Some(first) => faults.push(
                Diagnostic::new(item.span(), format!("seed {seed} is given twice"))
                    .label("a second time here")
                    .other(first.clone(), "first here"),
            ),
            None => {
                spans.insert(seed, item.span());
                seeds.push(seed);
            }
        }
    }
    if array.is_empty() {
        faults.push(Diagnostic::new(value.span(), "`seeds` is empty").label("expected at least one seed, as `[0]`"));
    }
    (!seeds.is_empty()).then_some(seeds)
}
