//! `matssl-run cache ls | verify | gc`: what lies in a cache, whether it is whole, and what may go.

mod gc;
mod ls;
mod verify;

use super::Stop;
use crate::cache::Store;
use crate::exit_code;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List what finished stages left: when, how big, of which stage, used by which experiments; newest first.
    Ls(ls::LsArgs),
    /// Read every record and file again; name what is damaged and set it aside, so that the next run makes it again.
    Verify(verify::VerifyArgs),
    /// Drop what is not needed any more; without --yes only say what that would be.
    ///
    /// --older-than, --keep and --max-size narrow each other: a record goes only if each that is given lets it. With none of
    /// them only leftovers go: files that no record names, dead work folders, old logs. What a running experiment holds
    /// never goes.
    Gc(gc::GcArgs),
}

/// Which cache.
#[derive(Args)]
struct Folder {
    /// The cache folder.
    #[arg(long, value_name = "DIR", env = "MATSSL_CACHE", default_value = "cache")]
    cache: PathBuf,
}

impl Folder {
    /// The cache; here none is made where there is none.
    fn open(&self) -> Result<Store, Stop> {
        if !self.cache.join("layout").exists() {
            let message = format!("error: there is no cache in {}; name one with --cache", self.cache.display());
            return Err(Stop::new(exit_code::NOT_THERE, message));
        }
        Ok(Store::open(&self.cache)?)
    }
}

pub(super) fn cache(args: &CacheArgs) -> Result<u8, Stop> {
    match &args.verb {
        Verb::Ls(args) => ls::ls(args),
        Verb::Verify(args) => verify::verify(args),
        Verb::Gc(args) => gc::gc(args),
    }
}

/// `1 record`, `2 records`.
fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
