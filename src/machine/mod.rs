//! What this machine, this process and this program are: for provenance, telemetry, and for refusing what cannot fit.

mod program;

pub use matssl_base::machine::*;
pub use program::{COMMIT, COMPILER, PROFILE, TARGET, TARGET_FEATURES, VERSION, build_id, executable};
