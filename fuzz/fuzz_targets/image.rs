//! Any bytes as an image and as a mask: read or refused with words, never a panic, a hang or memory without bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matssl_run::data::decode::{ImageOptions, decode_image, decode_mask};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzzed");
    for options in [ImageOptions::default(), ImageOptions { range: Some([0.0, 1.0]), page: Some(2), ..Default::default() }] {
        if let Err(error) = decode_image(path, bytes, &options) {
            assert!(error.to_string().starts_with("fuzzed: "));
        }
        if let Err(error) = decode_mask(path, bytes, options.page) {
            assert!(error.to_string().starts_with("fuzzed: "));
        }
    }
});
