//! What can go wrong with a shared cache.

/// What can go wrong with a shared cache. Messages hold no credentials.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address, a key file or the credentials are wrong.
    #[error("{0}")]
    Wrong(String),
    /// It cannot be reached.
    #[error("{0}")]
    NotThere(String),
    /// Something in it is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The cache on this disk cannot be read or written.
    #[error("{0:#}")]
    Local(#[from] anyhow::Error),
}

/// How an operation of the store failed, in a few words and without what a server's answer says of credentials.
pub(crate) fn words(error: &object_store::Error) -> String {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => "not found".into(),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => "another process wrote it first".into(),
        Error::PermissionDenied { .. } => "access is denied".into(),
        Error::Unauthenticated { .. } => "the credentials are not accepted".into(),
        Error::NotImplemented { .. } | Error::NotSupported { .. } => "the store does not support this".into(),
        other => innermost(other),
    }
}

/// Whether the credentials are to blame.
pub(crate) fn is_denied(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
}

/// The innermost cause, in one short line. The answers of servers are XML that may name keys: only their code is shown.
fn innermost(error: &object_store::Error) -> String {
    /// Maximum number of characters.
    const MOST: usize = 160;
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if let Some(code) = text.split_once("<Code>").and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0)) {
        return format!("the server answers {code}");
    }
    // Without the address that was asked for: it may be signed.
    let line = text.lines().next().unwrap_or_default();
    let words = line.split(' ').filter(|word| !word.contains("://"));
    words.collect::<Vec<_>>().join(" ").chars().take(MOST).collect()
}
