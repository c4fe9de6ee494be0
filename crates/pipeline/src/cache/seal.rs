//! A hash at the end of a JSON file, which shows a flipped bit anywhere in it.

use super::Digest;

/// What stands before the hash.
const SEAL: &[u8] = b",\"seal\":\"";
/// Length of the seal with its hash, quote and brace.
const SEAL_LENGTH: usize = SEAL.len() + 64 + 2;

/// The JSON object `json` with one more field at its end, `seal`: the hash of all bytes before it.
pub(super) fn seal(mut json: Vec<u8>) -> Vec<u8> {
    json.pop();
    let seal = Digest::of(&json).to_string();
    json.extend([SEAL, seal.as_bytes(), b"\"}"].concat());
    json
}

/// Whether `bytes` end in a seal that fits the bytes before it.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    let Some((sealed, end)) = bytes.len().checked_sub(SEAL_LENGTH).and_then(|length| bytes.split_at_checked(length))
    else {
        return false;
    };
    let hash = end.strip_prefix(SEAL).and_then(|end| end.strip_suffix(b"\"}"));
    hash.is_some_and(|hash| hash == Digest::of(sealed).to_string().as_bytes())
}
