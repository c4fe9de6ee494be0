//! `--executor slurm` on a real Slurm of one node.

mod arrays;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod documented;
mod on_cluster;
mod runs;
mod site_file;
mod troubles;
mod wall_time;
