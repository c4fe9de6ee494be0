//! Which cache a verb is about.

use super::super::outcome::Stop;
use crate::cache::Store;
use clap::Args;
use std::path::PathBuf;

/// The cache folder.
#[derive(Args)]
pub(super) struct Folder {
    /// The cache folder.
    #[arg(long, value_name = "DIR", env = "MATSSL_CACHE", default_value = "cache")]
    pub(super) cache: PathBuf,
}

impl Folder {
    /// The cache, which must exist.
    pub(super) fn open(&self) -> Result<Store, Stop> {
        if !self.cache.join("layout").exists() {
            return Err(Stop::not_there(format!(
                "there is no cache in {}; name one with --cache",
                self.cache.display()
            )));
        }
        Ok(Store::open(&self.cache)?)
    }
}
