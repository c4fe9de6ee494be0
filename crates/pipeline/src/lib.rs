//! The pipeline engine of `matssl-run`, without tensors and without images.
//!
//! - [`experiment`] reads experiment files: TOML, checked and expanded to stages. The program gives it the kinds of stages. All errors of a file are found at once, each with its place.
//! - [`cache`] keeps what finished stages left. A stage is found by its key, the hash of everything that its output depends on:
//!   kind, code version, parameters, seed, and the contents of its inputs. A process that is killed leaves a finished stage or
//!   none, and several processes may share a cache.
//! - [`stage`] is what a kind of stage implements; [`parameters`] reads the table of one stage as that kind's type.
//! - [`plan`] holds an experiment against a cache: the graph, each stage's key, what would run and why.
//! - [`exec`] runs a plan: a pure scheduler, a process for each stage, and its worker. `examples/words.rs` is a whole program.
//! - [`events`] is the event log of a run: what happened when, one JSON object a line.
//!
//! A stage is computed once and found afterwards:
//!
//! ```
//! use matssl_pipeline::cache::{KEY_SCHEMA, KeyMaterial, Provenance, Store};
//! use std::collections::BTreeMap;
//!
//! # fn main() -> anyhow::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::open(&folder.path().join("cache"))?;
//! let material = KeyMaterial {
//!     schema: KEY_SCHEMA,
//!     kind: "count".into(),
//!     code_version: 1,
//!     params: serde_json::json!({ "of": "grains" }),
//!     seed: None,
//!     inputs: BTreeMap::new(),
//!     files: BTreeMap::new(),
//! };
//! let key = material.key();
//! assert!(store.find(key).is_none());
//!
//! // The stage writes into a private folder; publishing moves its files into the cache and then writes the record.
//! let private = store.private_folder()?;
//! std::fs::write(private.out().join("count.txt"), "42")?;
//! store.publish(material, &private.out(), Provenance::default(), BTreeMap::new(), false)?;
//!
//! let record = store.find(key).expect("it was published");
//! assert_eq!(store.read(&record.outputs[0])?, b"42");
//! # Ok(())
//! # }
//! ```

pub mod cache;
pub mod events;
pub mod exec;
pub mod experiment;
mod key;
pub mod parameters;
pub mod plan;
pub mod stage;
