//! What can be wrong with a weight file.

use super::request::first;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// How a network and the tensors of a file differ.
#[derive(Debug)]
pub struct Differences {
    /// Where in the file the best fit is: " (key `state_dict`)"; empty at its top.
    pub place: String,
    /// Tensors of the network that the file lacks, by the network's names.
    pub missing: Vec<String>,
    /// Tensors of the file inside the network's layers that the network has not.
    pub unused: Vec<String>,
    /// Tensors of another shape: `name: [file's] instead of [network's]`, in PyTorch's layout.
    pub misshapen: Vec<String>,
    /// Which networks both are, as a line of its own; empty if they look the same or like nothing known.
    pub looks: String,
}

impl Display for Differences {
    /// A line for each tensor that does not fit, as far as there is room.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.place)?;
        let kinds =
            [("wrong shape", &self.misshapen), ("missing", &self.missing), ("not in the network", &self.unused)];
        for (what, names) in kinds {
            let named: Vec<String> = names.iter().map(|name| format!("{what}: {name}")).collect();
            formatter.write_str(&lines(&named))?;
        }
        formatter.write_str(&self.looks)
    }
}

/// What is wrong with a weight file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("{path}: cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a weight file.
    #[error("{path} is no weight file: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// It belongs to another network.
    #[error("{path} does not fit the network{differences}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// How the network and the best fit in the file differ.
        differences: Box<Differences>,
    },
    /// None of its tensors belongs to the network.
    #[error(
        "{path} holds not one tensor of the network: the file has {}, the network {}{looks}", first(.found, 3), first(.expected, 3)
    )]
    Unrelated {
        /// The file.
        path: PathBuf,
        /// The file's tensors.
        found: Vec<String>,
        /// The network's, by the names a file should give them.
        expected: Vec<String>,
        /// As in [`Differences`].
        looks: String,
    },
    /// Several networks in it fit.
    #[error(
        "{path} holds {} networks that fit:{}\nchoose one with `key` and `prefix` beside `weights`, e.g. {example}",
        .places.len(), lines(.places)
    )]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// Where each lies.
        places: Vec<String>,
        /// What chooses the usual one, as in an experiment.
        example: String,
    },
    /// It has nothing at the chosen place.
    #[error("{path} has no tensors of the network under the {what}: {known}")]
    NotInFile {
        /// The file.
        path: PathBuf,
        /// What was chosen, e.g. "key `teacher`".
        what: String,
        /// What there is.
        known: String,
    },
    /// It holds numbers that are none.
    #[error(
        "{path} holds NaN or infinite numbers in {} of its tensors:{}\nthe training that wrote it has diverged, or the file is \
         damaged: take an earlier checkpoint, or download it again", .tensors.len(), lines(.tensors)
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Name and count of each tensor.
        tensors: Vec<String>,
    },
    /// It holds variances below zero.
    #[error(
        "{path} holds negative variances in {} of its tensors:{}\nno training computes them, the file is damaged: download it \
         again, or save it again", .tensors.len(), lines(.tensors)
    )]
    NegativeVariance {
        /// The file.
        path: PathBuf,
        /// Name and count of each tensor.
        tensors: Vec<String>,
    },
    /// All weights of its convolutions are zero.
    #[error(
        "{path} holds nothing but zeros in the convolutions of the network, which could learn nothing from there: give the \
         file of a trained network"
    )]
    Zeros {
        /// The file.
        path: PathBuf,
    },
    /// Its content changed after its hash entered the cache key.
    #[error("{path} changed since the run began; run again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It has the name of a published file, but another content.
    #[error(
        "{path} is not the published file: its SHA-256 begins with {found}, not with {published}; fetch it again from \
         {url}, or give a file of your own another name"
    )]
    NotPublished {
        /// The file.
        path: PathBuf,
        /// What its SHA-256 begins with.
        found: String,
        /// What it should begin with.
        published: &'static str,
        /// Where the published file is.
        url: String,
    },
    /// The tensors themselves failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl WeightsError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        WeightsError::Io { path: path.to_owned(), source }
    }

    pub(super) fn format(path: &Path, reason: impl Display) -> Self {
        WeightsError::Format { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Lines of each kind that a message shows.
const SHOWN: usize = 5;

/// A line for each of `items`, and the count of those for which there is no room.
fn lines(items: &[String]) -> String {
    let mut text: String = items.iter().take(SHOWN).map(|item| format!("\n  {item}")).collect();
    if items.len() > SHOWN {
        text += &format!("\n  and {} more", items.len() - SHOWN);
    }
    text
}
