//! Any bytes as an experiment file: right or refused with words, never a panic, a hang or memory without bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matssl_run::{experiment, stage};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    // Files that it extends are looked up in the corpus, so circles are found there too.
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/experiment/fuzzed.toml"));
    if let Err(wrong) = experiment::parse_text(path, text, &[], stage::KINDS) {
        assert!(wrong.count() > 0 && wrong.render(false).starts_with("error"));
    }
});
