//! The first question to a shared cache: whether it is there, and whether it is ours. And making one.

use crate::error::{RemoteError, is_denied, printable, words};
use crate::layout::VERSION;
use crate::shared_cache::{SharedCache, State};
use object_store::{Error, PutMode};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;
use tracing::debug;

/// A remote that does not answer the first question within this time is not waited for.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// As much of a foreign layout is shown, in characters.
const MOST_SHOWN: usize = 60;

impl SharedCache {
    /// Asks whether there is a shared cache of this layout. True if there is; false if nobody has pushed yet.
    ///
    /// # Errors
    /// If it cannot be reached, or has another layout.
    pub fn connect(&self) -> Result<bool, RemoteError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Unknown {
            *state = self.runtime.block_on(self.look())?;
            debug!(remote = self.shown(), state = ?*state, "connected to the shared cache");
        }
        Ok(*state == State::Ready)
    }

    /// Reads the layout.
    pub(crate) async fn look(&self) -> Result<State, RemoteError> {
        let path = self.layout.version();
        let silence = || Error::Generic { store: "remote", source: "it does not answer within 10 seconds".into() };
        let found = tokio::time::timeout(FIRST_ANSWER, self.read_small(&path)).await;
        match found.unwrap_or_else(|_| Err(silence())) {
            Ok(found) if found.bytes.as_deref() == Some(VERSION.as_bytes()) => Ok(State::Ready),
            Ok(found) => {
                let text = found.bytes.unwrap_or_default();
                let layout = printable(&String::from_utf8_lossy(&text[..text.len().min(4 * MOST_SHOWN)]), MOST_SHOWN);
                Err(RemoteError::Wrong(format!(
                    "the shared cache {} has the layout `{layout}`, this program reads `{VERSION}`; name another prefix",
                    self.shown()
                )))
            }
            Err(Error::NotFound { .. }) => Ok(State::Empty),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    /// As [`SharedCache::connect`], and makes a shared cache if there is none.
    ///
    /// # Errors
    /// If it cannot be reached or written.
    pub fn make(&self) -> Result<(), RemoteError> {
        self.writable()?;
        if self.connect()? {
            return Ok(());
        }
        self.check_folder()?;
        let path = self.layout.version();
        match self.runtime.block_on(self.write_small(&path, VERSION.as_bytes(), PutMode::Create)) {
            Ok(()) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(Error::NotFound { .. }) => {
                return Err(RemoteError::NotThere(format!(
                    "the shared cache {} cannot be made: its bucket does not exist",
                    self.shown()
                )));
            }
            Err(error) => return Err(self.unreachable(&error)),
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Unknown;
        self.connect().map(|_| ())
    }

    /// A folder is made only in one that exists: otherwise a misspelt address, or a file system that is not mounted, would fill
    /// this machine's disk.
    fn check_folder(&self) -> Result<(), RemoteError> {
        let parent = self.folder.as_deref().filter(|folder| !folder.exists()).and_then(Path::parent);
        match parent {
            Some(parent) if !parent.is_dir() => Err(RemoteError::NotThere(format!(
                "the shared cache {} cannot be made: there is no folder {}; make it, or mount it",
                self.shown(),
                parent.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Why the remote does not do what it was asked.
    pub(crate) fn unreachable(&self, error: &Error) -> RemoteError {
        let (shown, why) = (self.shown(), words(error));
        let hint = self.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        if is_denied(error) {
            RemoteError::Wrong(format!(
                "the shared cache {shown} cannot be used: {why}; check the credentials, and that they may list it{hint}"
            ))
        } else {
            RemoteError::NotThere(format!("the shared cache {shown} cannot be reached: {why}{hint}"))
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
}
