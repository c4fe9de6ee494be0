//! What knows nothing of experiments, tensors or images: the machine, random numbers, units, exit codes.

pub mod exit_code;
pub mod machine;
pub mod random;
pub mod units;
