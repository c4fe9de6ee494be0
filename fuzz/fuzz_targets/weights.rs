//! Any bytes as a weight file: read or refused with words, never a panic, a hang or memory without bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matssl_run::nn::{Arch, ResNet, ResNetConfig, Variant, weights};

fuzz_target!(|bytes: &[u8]| {
    let config = ResNetConfig { arch: Arch::ResNet18, width: 1, variant: Variant::V15, in_channels: 3 };
    let request = weights::Request { allow_missing: true, ..weights::Request::default() };
    if let Err(error) = weights::check_bytes(bytes, &ResNet::new(config).shapes(), &request) {
        assert!(error.to_string().len() > 10);
    }
});
