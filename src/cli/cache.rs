//! `matssl-run cache ls | verify | gc | push | pull | keygen`: what a cache holds, whether it is intact, what may be deleted, and
//! the shared cache.

mod folder;
mod gc;
mod gc_remote;
mod keygen;
mod ls;
mod pull;
mod push;
mod verify;

use super::outcome::{Ending, Stop};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the records of finished stages: date, size, stage, and the experiments that use them; newest first.
    Ls(ls::LsArgs),
    /// Read every record and file, and move damaged ones to `damaged/`, so that the next run makes them again.
    Verify(verify::VerifyArgs),
    /// Delete what is no longer needed; without --yes only show what would be deleted.
    ///
    /// A record is deleted only if each given option of --older-than, --keep and --max-size allows it. Without any of them
    /// only leftovers are deleted: files that no record names, dead work folders, old logs. What a running experiment uses
    /// is never deleted.
    Gc(gc::GcArgs),
    /// Bring what an experiment has in this cache to the shared cache. What is there already is not sent again.
    Push(push::PushArgs),
    /// Bring what the shared cache has of an experiment to this cache. Every file is held to its hash.
    Pull(push::PushArgs),
    /// Make a key that signs what is pushed.
    Keygen(keygen::KeygenArgs),
}

pub(super) fn cache(args: &CacheArgs) -> Result<Ending, Stop> {
    match &args.verb {
        Verb::Ls(args) => ls::ls(args),
        Verb::Verify(args) => verify::verify(args),
        Verb::Gc(args) => match &args.remote {
            Some(url) => gc_remote::gc(args, url),
            None => gc::gc(args),
        },
        Verb::Push(args) => push::push(args),
        Verb::Pull(args) => pull::pull(args),
        Verb::Keygen(args) => keygen::keygen(args),
    }
}
