//! `matssl-run`: declarative experiment pipelines for self-supervised segmentation of micrographs.
//!
//! What lies below the command line, the executor and the stages are crates of their own (`crates/`), under their names here.
//! Imports go down: `cli` → `page` → `doctor`, `exec` → `plan` → `stage` → the crates. ARCHITECTURE.md is the map.

pub mod cli;
pub mod doctor;
pub mod lineage;
mod page;
pub mod program;
pub mod stage;

pub use matssl_base::{exit_code, machine, random, units};
pub use matssl_data as data;
pub use matssl_metrics as metrics;
pub use matssl_pipeline::{cache, events, exec, experiment, plan};
pub use matssl_predict as predict;
pub use matssl_report as report;
pub use matssl_train::{ssl, train};

/// What networks are made of: `crates/tensor`, and of `crates/train` the networks, losses and weight files.
pub mod nn {
    pub use matssl_tensor::*;
    pub use matssl_train::networks::*;
    pub use matssl_train::{losses, weights};
}
