//! What the engine asks of a cache that several machines share. `crates/remote` implements it.

use super::{Digest, Key, Record};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A cache that several machines share.
pub trait Remote: fmt::Debug + Send + Sync {
    /// For each of `keys` its record, if the remote has one that may be trusted. A remote that cannot be reached has none;
    /// it says so itself, once.
    fn find(&self, keys: &[Key]) -> Vec<Option<Record>>;

    /// Downloads each of `wanted` to its file, several at a time. Calls `arrived` with its index as soon as it is there or
    /// has failed. Nothing is known yet of the content.
    fn download(&self, wanted: &[Download], arrived: &mut dyn FnMut(usize, Result<(), DownloadError>));

    /// Tells the user something that does not stop the run.
    fn say(&self, message: &str);
}

/// An object to download.
#[derive(Clone, Debug)]
pub struct Download {
    /// The hash of its content, as the record has it.
    pub digest: Digest,
    /// Its size in bytes, as the record has it.
    pub size: u64,
    /// Where to write it.
    pub file: PathBuf,
}

/// Why an object was not downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// The remote does not have it.
    Missing,
    /// It has another size, in bytes.
    Size(u64),
    /// The remote cannot be reached.
    Failed(String),
    /// The file cannot be written.
    Disk(io::ErrorKind, String),
}
