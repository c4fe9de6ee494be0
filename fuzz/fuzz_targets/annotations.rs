//! Any bytes as an annotation file: read or refused with words, never a panic, a hang or memory without bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matssl_run::data::annotations::check_bytes;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = check_bytes(Path::new("fuzzed"), bytes) {
        assert!(error.to_string().starts_with("fuzzed: "));
    }
});
