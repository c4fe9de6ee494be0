//! A record in the remote: the bytes that it has on disk, and in a second line who pushed it, perhaps signed. One object, so
//! that a record and its signature cannot part.

use crate::origin::Origin;
use crate::signing::{PublicKey, SigningKey};
use matssl_pipeline::cache::{Key, Record, host_name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a signature is for: with this before it, it is for nothing else.
const PURPOSE: &[u8] = b"matssl-run record 1\n";

/// The second line: who pushed a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pusher {
    /// The user's name on that machine.
    user: String,
    /// The machine.
    host: String,
    /// When, in seconds since 1970.
    at: u64,
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
    pub(crate) origin: Origin,
}

/// Why a record of the remote does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Not a complete record, or its signature does not fit.
    Damaged(&'static str),
    /// It has no signature of a trusted key.
    Untrusted(Origin),
}

/// Which signatures count.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    pub(crate) require_signature: bool,
    pub(crate) trusted: BTreeSet<PublicKey>,
}

/// This user on this machine, now.
fn this_user() -> Pusher {
    let set =
        |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty() && !value.contains(char::is_control));
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
    if let Some(flaw) = record.flaw() {
        return Err(Unusable::Damaged(flaw));
    }
    let pusher: Pusher = serde_json::from_slice(pusher).map_err(|_| Unusable::Damaged("does not say who pushed it"))?;
    // They are shown; and a newline in one of them could move letters from the user to the host under one signature.
    if pusher.user.contains(char::is_control) || pusher.host.contains(char::is_control) {
        return Err(Unusable::Damaged("has names with control characters"));
    }
    let signed_by = match (&pusher.key, &pusher.signature) {
        (Some(by), Some(signature)) => {
            let by = PublicKey::parse(by).filter(|by| by.accepts(&signed(line, &pusher), signature));
            Some(by.ok_or(Unusable::Damaged("has a signature that does not fit"))?)
        }
        (None, None) => None,
        _ => return Err(Unusable::Damaged("has an incomplete signature")),
    };
    let Pusher { user, host, at, .. } = pusher;
    let origin = Origin { user, host, at, signed_by };
    if trust.require_signature && !signed_by.is_some_and(|by| trust.trusted.contains(&by)) {
        return Err(Unusable::Untrusted(origin));
    }
    Ok(Envelope { record, origin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_pipeline::cache::{Digest, KEY_SCHEMA, KeyMaterial, Provenance, Store};
    use std::collections::BTreeMap;

    /// A record without outputs, and its bytes.
    fn record() -> (Key, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let material = KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({}),
            seed: None,
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let key = material.key();
        let private = store.private_folder().unwrap();
        store.publish(material, &private.out(), Provenance::default(), BTreeMap::new(), false).unwrap();
        (key, store.record_bytes(key).unwrap())
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_signed_record_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let (public, _) = SigningKey::generate(&path).unwrap();
        let trust = Trust { require_signature: true, trusted: [public].into() };
        let (key, record) = record();
        let sealed = seal(&record, Some(&SigningKey::read(&path).unwrap())).unwrap();
        let opened = open(&sealed, key, &trust).unwrap();
        assert!(opened.origin.signed_by == Some(public) && opened.record.key == key);
        assert_eq!(record_bytes(&sealed), Some(&record[..]));
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&flipped, key, &trust).is_err(), "bit {bit}");
        }
        (0..sealed.len()).for_each(|end| assert!(open(&sealed[..end], key, &trust).is_err()));
        let other = Key(Digest::of(b"other"));
        assert_eq!(open(&sealed, other, &trust).unwrap_err(), Unusable::Damaged("is the record of another stage"));
    }

    #[test]
    fn an_unsigned_record_counts_only_where_no_signature_is_required() {
        let (key, record) = record();
        let sealed = seal(&record, None).unwrap();
        assert_eq!(open(&sealed, key, &Trust::default()).unwrap().origin.signed_by, None);
        let strict = Trust { require_signature: true, ..Trust::default() };
        assert!(matches!(open(&sealed, key, &strict), Err(Unusable::Untrusted(_))));
    }

    #[test]
    fn names_of_who_pushed_cannot_write_to_a_terminal() {
        let (key, record) = record();
        let sealed = String::from_utf8(seal(&record, None).unwrap()).unwrap();
        let (line, pusher) = sealed.split_once('\n').unwrap();
        let host = serde_json::to_string(&host_name()).unwrap();
        let changed = pusher.replace(&host, "\"\\u001b[2J\"");
        assert_ne!(changed, pusher);
        let opened = open(format!("{line}\n{changed}").as_bytes(), key, &Trust::default());
        assert_eq!(opened.unwrap_err(), Unusable::Damaged("has names with control characters"));
    }
}
