//! Keys that sign records (ed25519). A group shares a key file, or each member has one and the others trust its public half.

use crate::error::RemoteError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The first line of a key file.
const HEADER: &str = "matssl-run signing key 1";
/// Length of a seed and of a public key, in bytes.
const LENGTH: usize = 32;

/// The public half of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; LENGTH]);

impl PublicKey {
    /// Reads what its `to_string` wrote; `None` if `text` is not that.
    pub fn parse(text: &str) -> Option<Self> {
        Some(PublicKey(STANDARD.decode(text.trim()).ok()?.try_into().ok()?))
    }

    /// Whether this key made `signature` (base64) for `message`.
    pub(crate) fn accepts(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A key that signs.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a key and writes it to `path`, readable for its owner only, and its public half to `path` with `.pub` at the end.
    ///
    /// # Errors
    /// If there is a file already, or it cannot be written.
    pub fn generate(path: &Path) -> Result<(PublicKey, PathBuf), RemoteError> {
        let wrong = |path: &Path, error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                RemoteError::Wrong(format!("{} exists already; name another file", path.display()))
            }
            _ => RemoteError::Wrong(format!("cannot write {}: {error}", path.display())),
        };
        let mut seed = [0; LENGTH];
        getrandom::fill(&mut seed)
            .map_err(|error| RemoteError::Wrong(format!("the system gives no random numbers: {error}")))?;
        let key = SigningKey::of_seed(&seed)
            .ok_or_else(|| RemoteError::Wrong("the system's random numbers make no key; try again".into()))?;
        let mut name = path.as_os_str().to_owned();
        name.push(".pub");
        let public = PathBuf::from(name);
        let write = |path: &Path, mode: u32, text: String| {
            let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
            file.write_all(text.as_bytes())
        };
        write(path, 0o600, format!("{HEADER}\n{}\n", STANDARD.encode(seed))).map_err(|error| wrong(path, error))?;
        write(&public, 0o644, format!("{}\n", key.public())).map_err(|error| wrong(&public, error))?;
        Ok((key.public(), public))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If it cannot be read or is no key file.
    pub fn read(path: &Path) -> Result<Self, RemoteError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| RemoteError::Wrong(format!("cannot read the signing key {}: {error}", path.display())))?;
        let seed = text.strip_prefix(HEADER).and_then(|rest| STANDARD.decode(rest.trim()).ok());
        seed.as_deref().and_then(SigningKey::of_seed).ok_or_else(|| {
            let path = path.display();
            RemoteError::Wrong(format!("{path} is no signing key; `matssl-run cache keygen FILE` makes one"))
        })
    }

    fn of_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(SigningKey)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature for `message`, in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    /// The public half only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_made_once_and_its_signatures_are_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("group.key");
        let (public, file) = SigningKey::generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(PublicKey::parse(&std::fs::read_to_string(file).unwrap()), Some(public));
        let key = SigningKey::read(&path).unwrap();
        assert_eq!(key.public(), public);
        assert!(!format!("{key:?}").contains(std::fs::read_to_string(&path).unwrap().lines().nth(1).unwrap()));
        let signature = key.sign(b"text");
        assert!(public.accepts(b"text", &signature));
        assert!(
            !public.accepts(b"tent", &signature) && !public.accepts(b"text", "") && !public.accepts(b"text", "QQ==")
        );
        assert!(SigningKey::generate(&path).unwrap_err().to_string().contains("exists already"));
        let other = SigningKey::generate(&folder.path().join("other")).unwrap().0;
        assert!(!other.accepts(b"text", &signature));
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in ["", "QQ==", "matssl-run signing key 1\nQQ==\n", "matssl-run signing key 2\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(SigningKey::read(&path).unwrap_err().to_string().contains("keygen"), "{text}");
        }
        assert!(SigningKey::read(&folder.path().join("none")).is_err());
        assert_eq!(PublicKey::parse("QQ=="), None);
    }
}
