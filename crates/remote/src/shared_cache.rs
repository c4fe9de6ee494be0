//! A shared cache: its store, the runtime that waits for the network, and what is known of its state.

use crate::address::Address;
use crate::envelope::Trust;
use crate::error::{RemoteError, is_denied, words};
use crate::layout::{Layout, VERSION};
use crate::observer::Observer;
use crate::settings::Settings;
use crate::signing::{PublicKey, SigningKey};
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tracing::debug;

/// Number of transfers at a time. Each holds at most one part of an object in memory.
pub(crate) const AT_A_TIME: usize = 8;
/// So many failures without a success between them, and the remote counts as lost.
const MOST_FAILURES: usize = 3;

/// A cache that several machines share.
pub struct SharedCache {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same store, with more patience.
    pub(crate) uploads: Arc<dyn ObjectStore>,
    pub(crate) layout: Layout,
    pub(crate) trust: Trust,
    pub(crate) signing_key: Option<SigningKey>,
    pub(crate) runtime: Runtime,
    pub(crate) observer: Arc<dyn Observer>,
    shown: String,
    is_readonly: bool,
    state: Mutex<State>,
    is_lost: AtomicBool,
    failures: AtomicUsize,
    said: Mutex<BTreeSet<String>>,
}

/// A remote that does not answer the first question within this time is not waited for.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// What fails after so long is not tried again: the server is silent.
const SILENCE: Duration = Duration::from_secs(12);
/// How often something is tried, beside what the store's library tries.
const TRIES: usize = 3;
/// Time before the second try.
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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
        let address = Address::parse(&settings.url)?;
        Self::at(address, settings, observer)
    }

    fn at(address: Address, settings: &Settings, observer: Arc<dyn Observer>) -> Result<Arc<Self>, RemoteError> {
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
        let Address { store, uploads, prefix, shown, is_readonly } = address;
        Ok(Arc::new(SharedCache {
            store,
            uploads,
            layout: Layout::new(prefix),
            trust: Trust { require_signature: settings.require_signature, trusted },
            signing_key,
            runtime: runtime.map_err(|error| RemoteError::Local(error.into()))?,
            observer,
            shown,
            is_readonly: is_readonly || settings.readonly,
            state: Mutex::new(State::Unknown),
            is_lost: AtomicBool::new(false),
            failures: AtomicUsize::new(0),
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

    /// Whether it could not be reached; nothing more is asked of it then.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Asks whether there is a shared cache of this layout. True if there is; false if nobody has pushed yet.
    ///
    /// # Errors
    /// If it cannot be reached, or has another layout.
    pub fn connect(&self) -> Result<bool, RemoteError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Unknown {
            *state = self.runtime.block_on(self.look())?;
            debug!(remote = self.shown, state = ?*state, "connected to the shared cache");
        }
        Ok(*state == State::Ready)
    }

    async fn look(&self) -> Result<State, RemoteError> {
        let path = self.layout.version();
        let ask = async { self.store.get(&path).await?.bytes().await };
        let silence =
            || object_store::Error::Generic { store: "remote", source: "it does not answer within 10 seconds".into() };
        match tokio::time::timeout(FIRST_ANSWER, ask).await.unwrap_or_else(|_| Err(silence())) {
            Ok(text) if text == VERSION.as_bytes() => Ok(State::Ready),
            Ok(text) => Err(RemoteError::Wrong(format!(
                "the shared cache {} has the layout `{}`, this program reads `{VERSION}`; name another prefix",
                self.shown,
                String::from_utf8_lossy(&text[..text.len().min(60)])
            ))),
            Err(object_store::Error::NotFound { .. }) => Ok(State::Empty),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    /// As [`SharedCache::connect`], and makes a shared cache if there is none.
    ///
    /// # Errors
    /// If it cannot be reached or written.
    pub fn make(&self) -> Result<(), RemoteError> {
        if self.is_readonly {
            return Err(RemoteError::Wrong(format!("the shared cache {} is only read", self.shown)));
        }
        if self.connect()? {
            return Ok(());
        }
        let payload = VERSION.as_bytes().to_vec().into();
        let path = self.layout.version();
        match self.runtime.block_on(self.store.put_opts(&path, payload, PutMode::Create.into())) {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(object_store::Error::NotFound { .. }) => {
                return Err(RemoteError::NotThere(format!(
                    "the shared cache {} cannot be made: its bucket does not exist",
                    self.shown
                )));
            }
            Err(error) => return Err(self.unreachable(&error)),
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Unknown;
        self.connect().map(|_| ())
    }

    /// Why the remote does not do what it was asked.
    pub(crate) fn unreachable(&self, error: &object_store::Error) -> RemoteError {
        let (shown, why) = (&self.shown, words(error));
        if is_denied(error) {
            RemoteError::Wrong(format!("the shared cache {shown} cannot be used: {why}; check the credentials"))
        } else {
            RemoteError::NotThere(format!("the shared cache {shown} cannot be reached: {why}"))
        }
    }

    /// A run asks: whether there is something to ask. A remote that cannot be reached is said once, and the run goes on.
    pub(crate) fn is_there(&self) -> bool {
        if self.is_lost() {
            return false;
        }
        match self.connect() {
            Ok(is_there) => is_there,
            Err(error) => {
                self.lose(&error.to_string());
                false
            }
        }
    }

    /// Counts a transfer that went well.
    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Counts a failed transfer. After several in a row the remote is lost.
    pub(crate) fn failed(&self, error: &object_store::Error) {
        debug!(remote = self.shown, why = words(error), "a transfer failed");
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_FAILURES || is_denied(error) {
            self.lose(&self.unreachable(error).to_string());
        }
    }

    /// Does something that may be done again until it goes well, a few times: connections break.
    pub(crate) async fn patiently<T>(
        &self,
        operation: impl AsyncFn() -> object_store::Result<T>,
    ) -> object_store::Result<T> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let since = Instant::now();
            match operation().await {
                Err(error @ object_store::Error::Generic { .. }) if !self.is_lost() => {
                    if since.elapsed() > SILENCE {
                        self.failures.fetch_add(MOST_FAILURES, Ordering::Relaxed);
                        return Err(error);
                    }
                    debug!(remote = self.shown, why = words(&error), "trying again");
                }
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
        operation().await
    }

    pub(crate) fn lose(&self, why: &str) {
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            self.observer.say(&format!("{why}; going on with the cache on this machine only"));
        }
    }

    /// Says something, but not twice.
    pub(crate) fn say_once(&self, message: String) {
        let is_new = self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone());
        if is_new {
            self.observer.say(&message);
        }
    }
}
