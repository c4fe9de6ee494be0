//! The description of this build of the program.

use crate::exec::Program;
use crate::stage::KINDS;

/// This program: its kinds of stages, and the version and build that records name.
pub static PROGRAM: Program = Program {
    kinds: KINDS,
    name: concat!("matssl-run ", env!("CARGO_PKG_VERSION")),
    commit: option_env!("MATSSL_BUILD_COMMIT"),
    compiler: env!("MATSSL_BUILD_COMPILER"),
    target: env!("MATSSL_BUILD_TARGET"),
    target_features: env!("MATSSL_BUILD_TARGET_FEATURES"),
    profile: env!("MATSSL_BUILD_PROFILE"),
};
