//! What can be wrong with a weight file.

use std::fmt::Display;
use std::path::{Path, PathBuf};

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
    #[error("{path} does not fit the network:{}", differences(.missing, .unused, .misshapen))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Tensors of the network that the file lacks, by the file's names.
        missing: Vec<String>,
        /// Tensors of the file that the network has not.
        unused: Vec<String>,
        /// Tensors of another shape: `name: [file's] instead of [network's]`, in PyTorch's layout.
        misshapen: Vec<String>,
    },
    /// None of its tensors belongs to the network.
    #[error(
        "{path} holds not one tensor of the network: the file has {}, the network {}; is there a prefix to take off the \
         file's names?", first_of(.found), first_of(.expected)
    )]
    Unrelated {
        /// The file.
        path: PathBuf,
        /// The file's tensors.
        found: Vec<String>,
        /// The network's, by the names a file should give them.
        expected: Vec<String>,
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

/// A line for each tensor that does not fit.
fn differences(missing: &[String], unused: &[String], misshapen: &[String]) -> String {
    let mut text = String::new();
    for (what, names) in [("wrong shape", misshapen), ("missing", missing), ("not in the network", unused)] {
        for name in names {
            text += &format!("\n  {what}: {name}");
        }
    }
    text
}

/// The first three of `names`.
fn first_of(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [first, second, third, _, ..] => format!("{first}, {second}, {third}, …"),
        few => few.join(", "),
    }
}
