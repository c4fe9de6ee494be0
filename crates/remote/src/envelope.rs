//! A record in the remote: the bytes that it has on disk, and in a second line who pushed it, perhaps signed. One object, so
//! that a record and its signature cannot part.

use crate::signing::{PublicKey, SigningKey};
use matssl_pipeline::cache::{Key, Record, host_name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a signature is for: with this before it, it is for nothing else.
const PURPOSE: &[u8] = b"matssl-run record 1\n";

/// Who pushed a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pusher {
    /// The user's name on that machine.
    pub(crate) user: String,
    /// The machine.
    pub(crate) host: String,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
    /// Public half of the key that signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Signature over the record and all of the above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// A record that came from the remote.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) record: Record,
    pub(crate) pusher: Pusher,
    /// Whether a signature is there. It fits: see [`open`].
    pub(crate) is_signed: bool,
}

/// Why a record of the remote does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Not a complete record, or its signature does not fit.
    Damaged(&'static str),
    /// It has no signature of a trusted key. Here is who pushed it.
    Untrusted(String),
}

/// Which signatures count.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    pub(crate) require_signature: bool,
    pub(crate) trusted: BTreeSet<PublicKey>,
}

/// This user on this machine, now.
fn this_user() -> Pusher {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // SAFETY: plain system call without arguments.
    let number = || format!("user {}", unsafe { libc::getuid() });
    Pusher {
        user: set("USER").or_else(|| set("LOGNAME")).unwrap_or_else(number),
        host: host_name(),
        at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        key: None,
        signature: None,
    }
}

/// What a signature signs.
fn signed(record: &[u8], pusher: &Pusher) -> Vec<u8> {
    let Pusher { user, host, at, key, .. } = pusher;
    let key = key.as_deref().unwrap_or_default();
    [PURPOSE, record, format!("\n{user}\n{host}\n{at}\n{key}\n").as_bytes()].concat()
}

/// The envelope of the record with these bytes.
pub(crate) fn seal(record: &[u8], key: Option<&SigningKey>) -> serde_json::Result<Vec<u8>> {
    let mut pusher = this_user();
    if let Some(key) = key {
        pusher.key = Some(key.public().to_string());
        pusher.signature = Some(key.sign(&signed(record, &pusher)));
    }
    Ok([record, b"\n", &serde_json::to_vec(&pusher)?, b"\n"].concat())
}

/// The two lines of an envelope.
fn lines(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_suffix(b"\n")?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// The record of an envelope, whoever pushed it and whatever version it has.
pub(crate) fn record_bytes(bytes: &[u8]) -> Option<&[u8]> {
    lines(bytes).map(|(record, _)| record)
}

/// Opens the envelope of the record of `key`.
///
/// # Errors
/// If it is not that, or the signature is not as `trust` wants it.
pub(crate) fn open(bytes: &[u8], key: Key, trust: &Trust) -> Result<Envelope, Unusable> {
    let (line, pusher) = lines(bytes).ok_or(Unusable::Damaged("is incomplete"))?;
    let record = Record::from_bytes(line).ok_or(Unusable::Damaged("is no intact record"))?;
    if record.key != key || !record.is_consistent() {
        return Err(Unusable::Damaged("is the record of another stage"));
    }
    if !record.has_safe_paths() {
        return Err(Unusable::Damaged("names files outside of its output"));
    }
    let pusher: Pusher = serde_json::from_slice(pusher).map_err(|_| Unusable::Damaged("does not say who pushed it"))?;
    let by = match (&pusher.key, &pusher.signature) {
        (Some(by), Some(signature)) => {
            let by = PublicKey::parse(by).filter(|by| by.accepts(&signed(line, &pusher), signature));
            Some(by.ok_or(Unusable::Damaged("has a signature that does not fit"))?)
        }
        (None, None) => None,
        _ => return Err(Unusable::Damaged("has an incomplete signature")),
    };
    if trust.require_signature && !by.is_some_and(|by| trust.trusted.contains(&by)) {
        return Err(Unusable::Untrusted(format!("{}@{}", pusher.user, pusher.host)));
    }
    Ok(Envelope { record, pusher, is_signed: by.is_some() })
}
