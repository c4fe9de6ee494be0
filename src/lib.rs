//! `matssl-run`: declarative experiment pipelines for self-supervised segmentation of micrographs.
//!
//! The rooms, from the street door down; imports only go down (`tests/architecture.rs` holds that):
//! `cli` → `doctor`, `exec` → `plan` → `stage` → {`train`, `ssl`, `report`} → {`data`, `nn`, `metrics`}, with the leaves
//! `experiment`, `cache`, `machine` and `random`, and `units` below all. ARCHITECTURE.md is the map.

pub mod cache;
pub mod cli;
pub mod data;
pub mod doctor;
pub mod exec;
pub mod exit_code;
pub mod experiment;
pub mod machine;
pub mod metrics;
pub mod nn;
pub mod plan;
pub mod random;
pub mod report;
pub mod ssl;
pub mod stage;
pub mod train;
pub mod units;
