//! What a user says of a shared cache.

use std::path::PathBuf;

/// What a user says of a shared cache. Credentials are not among it: each store has its own ways for these.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where it is: `s3://bucket/prefix`, `gs://…`, `az://…`, `https://…` (only read), `file:///…` or the path of a folder.
    pub url: String,
    /// Whether nothing may be written there.
    pub readonly: bool,
    /// Whether records without a signature of a trusted key do not count.
    pub require_signature: bool,
    /// File with the key that signs what is pushed. Its signatures are trusted.
    pub signing_key: Option<PathBuf>,
    /// Public keys whose signatures are trusted.
    pub trusted_keys: Vec<String>,
}
