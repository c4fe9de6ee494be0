//! A shared cache: its store, the runtime that waits for the network, and what is known of it.

use crate::address::Address;
use crate::envelope::Trust;
use crate::error::RemoteError;
use crate::layout::Layout;
use crate::observer::Observer;
use crate::origin::Origin;
use crate::settings::Settings;
use crate::signing::{PublicKey, SigningKey};
use matssl_pipeline::cache::Key;
use object_store::ObjectStore;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;

/// Number of transfers at a time. Each holds a few parts of an object in memory at most.
pub(crate) const AT_A_TIME: usize = 8;

/// A cache that several machines share.
pub struct SharedCache {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same store, with more patience.
    pub(crate) uploads: Arc<dyn ObjectStore>,
    pub(crate) layout: Layout,
    /// The folder, if it is one.
    pub(crate) folder: Option<PathBuf>,
    /// What the user may have to do if it cannot be used.
    pub(crate) hint: Option<&'static str>,
    pub(crate) trust: Trust,
    pub(crate) signing_key: Option<SigningKey>,
    pub(crate) runtime: Runtime,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) state: Mutex<State>,
    pub(crate) is_lost: AtomicBool,
    pub(crate) failures: AtomicUsize,
    /// Who pushed the records that were found.
    pub(crate) origins: Mutex<HashMap<Key, Origin>>,
    shown: String,
    is_web: bool,
    is_readonly: bool,
    /// The store refuses to be written.
    is_write_denied: AtomicBool,
    said: Mutex<BTreeSet<String>>,
}

/// What is known of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not asked yet.
    Unknown,
    /// There is none: nobody has pushed.
    Empty,
    /// It is this program's.
    Ready,
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedCache({})", self.shown)
    }
}

impl SharedCache {
    /// The shared cache that `settings` name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If the address or a key is wrong.
    pub fn open(settings: &Settings, observer: Arc<dyn Observer>) -> Result<Arc<Self>, RemoteError> {
        Self::at(Address::parse(&settings.url)?, settings, observer)
    }

    /// As [`SharedCache::open`], at `address`.
    pub(crate) fn at(
        address: Address,
        settings: &Settings,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, RemoteError> {
        let signing_key = settings.signing_key.as_deref().map(SigningKey::read).transpose()?;
        let mut trusted: BTreeSet<PublicKey> = signing_key.iter().map(SigningKey::public).collect();
        for text in &settings.trusted_keys {
            let wrong = || RemoteError::Wrong(format!("`{text}` in `trusted_keys` is no public key"));
            trusted.insert(PublicKey::parse(text).ok_or_else(wrong)?);
        }
        if settings.require_signature && trusted.is_empty() {
            let message = "`require_signature` needs keys to trust: name `trusted_keys` or a `signing_key`";
            return Err(RemoteError::Wrong(message.into()));
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_name("shared-cache").enable_all().build();
        let Address { store, uploads, prefix, shown, is_web, folder, hint } = address;
        Ok(Arc::new(SharedCache {
            store,
            uploads,
            layout: Layout::new(prefix),
            folder,
            hint,
            trust: Trust { require_signature: settings.require_signature, trusted },
            signing_key,
            runtime: runtime.map_err(|error| RemoteError::Local(error.into()))?,
            observer,
            state: Mutex::new(State::Unknown),
            is_lost: AtomicBool::new(false),
            failures: AtomicUsize::new(0),
            origins: Mutex::default(),
            shown,
            is_web,
            is_readonly: is_web || settings.readonly,
            is_write_denied: AtomicBool::new(false),
            said: Mutex::default(),
        }))
    }

    /// Its address, without credentials.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether nothing may be written there.
    pub fn is_readonly(&self) -> bool {
        self.is_readonly
    }

    /// Whether it may be written.
    ///
    /// # Errors
    /// Says why not, and what to do.
    pub fn writable(&self) -> Result<(), RemoteError> {
        let shown = &self.shown;
        match (self.is_web, self.is_readonly) {
            (true, _) => Err(RemoteError::Wrong(format!(
                "the shared cache {shown} is on a web server, which is only read; push to the folder or bucket behind it"
            ))),
            (_, true) => Err(RemoteError::Wrong(format!(
                "the shared cache {shown} is only read, by `--remote-readonly` or `readonly` of the site file"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether it could not be reached; nothing more is asked of it then.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Whether nothing can be sent there: it is lost, or refuses to be written.
    pub(crate) fn takes_nothing(&self) -> bool {
        self.is_lost() || self.is_write_denied.load(Ordering::Relaxed)
    }

    /// Notes that the store refuses to be written. It can still be read.
    pub(crate) fn deny_writes(&self, why: &str) {
        self.is_write_denied.store(true, Ordering::Relaxed);
        let shown = &self.shown;
        self.say_once(format!(
            "the shared cache {shown} cannot be written: {why}; check the credentials, or only read it with --remote-readonly"
        ));
    }

    /// Who pushed the record of `key`, if it was found there.
    pub fn origin(&self, key: Key) -> Option<Origin> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Says something, but not twice.
    pub(crate) fn say_once(&self, message: String) {
        let is_new = self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone());
        if is_new {
            self.observer.say(&message);
        }
    }
}
