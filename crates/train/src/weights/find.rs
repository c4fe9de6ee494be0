//! Finds a network among the tensors of a file: under which key, behind which prefix, with which names.

use super::bias_table::{differs_in_window, is_computed};
use super::first_convolution::differs_in_channels;
use super::naming::Naming;
use super::request::{Request, place};
use super::stored::{Group, Place};
use std::collections::{BTreeSet, HashMap};

/// Names and shapes (PyTorch's layout) of a network's tensors, in its order.
pub(super) type Expected = [(String, Vec<usize>)];

/// Prefixes of one dictionary that are looked at more closely: those with the most hits.
const PREFIXES: usize = 16;
/// Parts of a name that may belong to the prefix.
const PARTS: usize = 16;
/// A counter that no forward pass reads; files older than PyTorch 0.4.1 lack it.
const COUNTER: &str = "num_batches_tracked";

/// One place where the network may lie, and how well it fits.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Index of the dictionary.
    pub(super) group: usize,
    /// The dictionary's key.
    pub(super) key: String,
    pub(super) prefix: String,
    pub(super) naming: Naming,
    /// (index of the network's tensor, the file's name).
    pub(super) found: Vec<(usize, String)>,
    /// The network's names.
    pub(super) missing: Vec<String>,
    /// Name and shapes of each.
    pub(super) misshapen: Vec<String>,
    /// Surplus tensors inside the network's layers, by their names without the prefix: they mean another network.
    pub(super) inside: Vec<String>,
    /// Surplus tensors elsewhere, by the file's names.
    pub(super) outside: Vec<String>,
    /// Channels of the first convolution, in the file and in the network, if they differ.
    pub(super) channels: Option<(usize, usize)>,
    /// Tables of position biases of windows of another side, by the network's names, and the sides in the file and in the network.
    pub(super) resized: Vec<(String, (usize, usize))>,
}

impl Candidate {
    /// Whether the network can start from it.
    pub(super) fn fits(&self, allow_missing: bool) -> bool {
        let whole = self.misshapen.is_empty() && self.inside.is_empty() && !self.found.is_empty();
        whole && (allow_missing || self.missing.is_empty())
    }

    /// Where it lies, in words.
    pub(super) fn place(&self) -> String {
        let parts = place(&self.key, &self.prefix);
        if parts.is_empty() { "at the top of the file".into() } else { parts.join(", ") }
    }
}

/// The places in `groups` where the network may lie, as far as `request` allows them, in the order of the file.
pub(super) fn candidates(groups: &[Group], expected: &Expected, request: &Request<'_>) -> Vec<Candidate> {
    let index: HashMap<&str, usize> = expected.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    let mut found = Vec::new();
    for (group, listed) in groups.iter().enumerate() {
        if request.key.is_some_and(|key| key != listed.key) {
            continue;
        }
        for naming in Naming::ALL {
            for prefix in prefixes(listed, &index, naming) {
                let same = |chosen: &str| chosen.trim_end_matches('.') == prefix.trim_end_matches('.');
                if request.prefix.is_none_or(same) {
                    found.push(evaluate((group, listed), expected, &index, (prefix, naming)));
                }
            }
        }
    }
    found
}

/// The prefixes with the most tensors of the network behind them, in order of the alphabet.
fn prefixes<'g>(group: &'g Group, index: &HashMap<&str, usize>, naming: Naming) -> BTreeSet<&'g str> {
    let mut hits: HashMap<&str, usize> = HashMap::new();
    for name in group.tensors.keys() {
        let starts = [0].into_iter().chain(name.match_indices('.').map(|(at, _)| at + 1));
        for start in starts.take(PARTS) {
            if naming.own(&name[start..]).is_some_and(|rest| index.contains_key(rest.as_str())) {
                *hits.entry(&name[..start]).or_default() += 1;
            }
        }
    }
    let mut hits: Vec<(&str, usize)> = hits.into_iter().collect();
    hits.sort_by_key(|&(prefix, count)| (std::cmp::Reverse(count), prefix));
    hits.into_iter().take(PREFIXES).map(|(prefix, _)| prefix).collect()
}

fn evaluate(
    (group, listed): (usize, &Group),
    expected: &Expected,
    index: &HashMap<&str, usize>,
    (prefix, naming): (&str, Naming),
) -> Candidate {
    let trunk: BTreeSet<&str> = expected.iter().filter_map(|(name, _)| name.split('.').next()).collect();
    let first_convolution = expected.iter().position(|(_, shape)| shape.len() == 4);
    let mut candidate = Candidate {
        group,
        key: listed.key.clone(),
        prefix: prefix.to_owned(),
        naming,
        found: Vec::new(),
        missing: Vec::new(),
        misshapen: Vec::new(),
        inside: Vec::new(),
        outside: Vec::new(),
        channels: None,
        resized: Vec::new(),
    };
    let mut seen = vec![false; expected.len()];
    for (name, stored) in &listed.tensors {
        let Some(rest) = name.strip_prefix(prefix) else {
            candidate.outside.push(name.clone());
            continue;
        };
        if is_computed(rest) {
            continue;
        }
        let ours = naming.own(rest);
        let Some(&at) = ours.as_deref().and_then(|ours| index.get(ours)) else {
            let part = ours.as_deref().unwrap_or(rest).split('.').next().unwrap_or_default();
            let is_layer = trunk.contains("layer1")
                && part.strip_prefix("layer").is_some_and(|number| number.parse::<u8>().is_ok());
            if trunk.contains(part) || is_layer {
                candidate.inside.push(rest.to_owned());
            } else {
                candidate.outside.push(name.clone());
            }
            continue;
        };
        seen[at] = true;
        let (ours, shape) = &expected[at];
        // Files of PyTorch 0.3, and some converted ones, keep a counter as one number in a row; PyTorch takes them too.
        let same = stored.shape == *shape || (shape.is_empty() && stored.shape == [1]);
        if same || matches!(stored.place, Place::Unreadable(_)) {
            candidate.found.push((at, name.clone()));
        } else if Some(at) == first_convolution && differs_in_channels(&stored.shape, shape) {
            candidate.channels = Some((stored.shape[1], shape[1]));
            candidate.found.push((at, name.clone()));
        } else if let Some(windows) = differs_in_window(ours, &stored.shape, shape) {
            candidate.resized.push((ours.clone(), windows));
            candidate.found.push((at, name.clone()));
        } else {
            candidate.misshapen.push(format!("{ours}: {:?} instead of {shape:?}", stored.shape));
        }
    }
    let missing = expected.iter().zip(seen).filter(|((name, _), seen)| !seen && !name.ends_with(COUNTER));
    candidate.missing = missing.map(|((name, _), _)| name.clone()).collect();
    candidate
}

/// Of several places, the one to report when none fits: the most tensors by name, then the fewest that do not fit.
pub(super) fn best(candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.into_iter().min_by_key(|candidate| {
        let wrong = candidate.misshapen.len() + candidate.inside.len();
        (std::cmp::Reverse(candidate.found.len() + candidate.misshapen.len()), wrong)
    })
}
