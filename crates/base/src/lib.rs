//! What knows nothing of experiments, tensors or images: the machine, random numbers, units, exit codes.

pub mod device_name;
pub mod exit_code;
pub mod machine;
pub mod random;
pub mod units;
