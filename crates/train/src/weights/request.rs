//! Which network of a weight file is wanted, and what was found.

use std::collections::BTreeSet;

/// What to look for in a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// Whether the file may lack tensors of the network.
    pub allow_missing: bool,
    /// The key under which the tensors lie, e.g. `state_dict` (`""`: the top of the file); `None`: any.
    pub key: Option<&'r str>,
    /// What stands before the names of the network, e.g. `module.encoder_q.`; the last dot may be left out. `None`: anything.
    pub prefix: Option<&'r str>,
    /// Tensors of the network whose names begin so are not loaded: a new head.
    pub without: Option<&'r str>,
    /// Only these tensors of the network are loaded, if it says any: an encoder whose names have no prefix.
    pub only: Option<&'r BTreeSet<String>>,
}

/// Where the network was found in a file, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// The key under which the tensors lie; empty at the top of the file.
    pub key: String,
    /// What stands before the network's names.
    pub prefix: String,
    /// How the file names the layers, if not as the network does.
    pub naming: Option<&'static str>,
    /// Tensors of the network that the file lacks (their values stay), by the network's names.
    pub missing: Vec<String>,
    /// Other tensors beside the network's: heads, queues, other networks.
    pub passed_over: Vec<String>,
    /// Channels of the first convolution, in the file and in the network, if they differ.
    pub channels: Option<(usize, usize)>,
    /// Tables of position biases of windows of another side, interpolated: the network's names, and the sides in the file and in
    /// the network.
    pub resized: Vec<(String, (usize, usize))>,
    /// The configuration in a file that this program wrote.
    pub config: Option<String>,
}

/// Number of names that a text shows.
const SHOWN: usize = 3;

impl LoadReport {
    /// Where the network was found, e.g. "key `state_dict`, prefix `module.encoder_q.`"; `None` if it lies at the top of the
    /// file and nothing was changed or passed over but a classifier.
    pub fn found(&self) -> Option<String> {
        let mut parts = place(&self.key, &self.prefix);
        parts.extend(self.naming.map(str::to_owned));
        if let Some((from, to)) = self.channels {
            parts.push(match to {
                1 => format!("first convolution summed from {from} to 1 channels"),
                _ if to < from => {
                    format!("first {to} of {from} channels of the first convolution kept, times {from}/{to}")
                }
                _ => format!("first convolution repeated and scaled from {from} to {to} channels"),
            });
        }
        if let Some((_, (from, to))) = self.resized.first() {
            let count = self.resized.len();
            parts.push(format!(
                "{count} tables of position biases interpolated from windows of {from} to windows of {to}"
            ));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// What was passed over, e.g. "10 other tensors: fc.bias, fc.weight, queue, …"; `None` if nothing.
    pub fn passed_over(&self) -> Option<String> {
        let names = &self.passed_over;
        let count = match names.len() {
            0 => return None,
            1 => "1 other tensor".to_owned(),
            more => format!("{more} other tensors"),
        };
        Some(format!("{count}: {}", first(names, SHOWN)))
    }
}

/// The key and the prefix in words, as far as there are any.
pub(super) fn place(key: &str, prefix: &str) -> Vec<String> {
    let of = |what: &str, value: &str| (!value.is_empty()).then(|| format!("{what} `{value}`"));
    of("key", key).into_iter().chain(of("prefix", prefix)).collect()
}

/// The first `count` of `names`, and an ellipsis if there are more.
pub(super) fn first(names: &[String], count: usize) -> String {
    let more = if names.len() > count { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(count)].join(", "))
}
