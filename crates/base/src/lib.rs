//! What all crates of `matssl-run` stand on: the machine and its processes, random numbers, units of time and size, exit codes.
//! It knows nothing of experiments, tensors or images.

pub mod device_name;
pub mod exit_code;
pub mod machine;
pub mod random;
pub mod units;
