//! `matssl-run cache keygen`: makes a key that signs records.

use super::super::outcome::{Ending, Stop};
use super::super::output::{print, say};
use clap::Args;
use matssl_remote::SigningKey;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct KeygenArgs {
    /// Where to write the key; its public half goes to FILE.pub.
    file: PathBuf,
}

pub(super) fn keygen(args: &KeygenArgs) -> Result<Ending, Stop> {
    let (public, file) = SigningKey::generate(&args.file)?;
    say(&format!("{}: keep it secret; {}: give it to whoever shall trust it", args.file.display(), file.display()));
    print(&format!("{public}\n"));
    Ok(Ending::Done)
}
