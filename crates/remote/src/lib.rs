//! A cache of finished stages that several machines share: in S3 (and what speaks it), GCS, Azure, on a web server (to read),
//! or in a folder.
//!
//! [`SharedCache`] is the [`Remote`](matssl_pipeline::cache::Remote) behind a [`Store`](matssl_pipeline::cache::Store): what a
//! run does not find on its disk it looks for there, and [`BackgroundPush`] brings there what the run makes. Everything
//! asynchronous stays in this crate.
//!
//! ```text
//! layout                          version of this layout; another one is refused
//! records/<key>.jsonl             a record, as it is on disk, and in a second line who pushed it, perhaps signed
//! objects/ab/cdef…                files by content hash
//! experiments/<name>/<who>.json   the keys that an experiment needs, one list for each cache that it was pushed from
//! gc/running-<id>.json            a `gc` that runs; it writes this file again and again
//! gc/last.json                    the last `gc` that ended
//! ```
//! The order of writing is that of a cache on disk: objects first, then the record, and the first record stays. Whoever reads
//! holds every object to its hash, so a damaged remote costs time and never a wrong result.

mod address;
mod aws_profile;
mod background;
mod connection;
mod download;
mod envelope;
mod error;
mod experiments;
mod find;
mod gc;
mod gc_watch;
mod layout;
mod leftovers;
mod observer;
mod origin;
mod patience;
mod present;
mod push;
mod push_experiment;
mod remote;
mod running_gc;
mod s3;
mod settings;
mod shared_cache;
mod signing;
mod small_file;
mod store_time;
mod upload;

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod folder_world;
#[cfg(test)]
mod gc_tests;
#[cfg(test)]
mod store_tests;

pub use background::BackgroundPush;
pub use error::RemoteError;
pub use gc::{GcRules, RemoteSweep};
pub use observer::{NoObserver, Observer};
pub use origin::Origin;
pub use push::Pushed;
pub use push_experiment::Push;
pub use settings::Settings;
pub use shared_cache::SharedCache;
pub use signing::{PublicKey, SigningKey};
