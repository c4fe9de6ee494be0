//! `--executor slurm` on a real Slurm of one node.

// First by its name, because it waits longest.
mod allotted_time;
mod arrays;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod documented;
mod on_cluster;
mod runs;
mod site_file;
mod troubles;
