//! What can go wrong with a shared cache.

use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as StdError;

/// What can go wrong with a shared cache. Messages hold no credentials.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address is wrong, or nothing can be opened there.
    #[error("{0}")]
    Address(String),
    /// A key file, the credentials or what was asked for are wrong.
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

/// Whether the store cannot write a file only where there is none, or only over one version. Some servers cannot, and no file
/// system without hard links.
pub(crate) fn is_unsupported(error: &object_store::Error) -> bool {
    use object_store::Error;
    const NOT_IMPLEMENTED: &str = "<Code>NotImplemented</Code>";
    let of_system = |cause: &(dyn StdError + 'static)| {
        let code = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        code.is_some_and(|code| [libc::EPERM, libc::ENOSYS, libc::EOPNOTSUPP].contains(&code))
    };
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
        || matches!(error, Error::Generic { .. })
            && causes(error).any(|cause| of_system(cause) || cause.to_string().contains(NOT_IMPLEMENTED))
}

/// Whether the server has not answered in time. To ask again would keep the user waiting as long once more.
pub(crate) fn is_silence(error: &object_store::Error) -> bool {
    let is_timeout = |cause: &(dyn StdError + 'static)| {
        cause.downcast_ref::<HttpError>().is_some_and(|error| error.kind() == HttpErrorKind::Timeout)
    };
    causes(error).any(is_timeout)
}

/// The error and what caused it, the innermost last.
fn causes<'e>(error: &'e object_store::Error) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let error: &'e (dyn StdError + 'static) = error;
    std::iter::successors(Some(error), |cause| (**cause).source())
}

/// The innermost cause, in one short line. The answers of servers are XML that may name keys: only their code is shown.
fn innermost(error: &object_store::Error) -> String {
    /// Maximum number of characters.
    const MOST: usize = 160;
    let text = causes(error).last().map(ToString::to_string).unwrap_or_default();
    if let Some(code) = text.split_once("<Code>").and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0)) {
        return printable(&format!("the server answers {code}"), MOST);
    }
    // Without the address that was asked for: it may be signed.
    let line = text.lines().next().unwrap_or_default();
    let words = line.split(' ').filter(|word| !word.contains("://"));
    printable(&words.collect::<Vec<_>>().join(" "), MOST)
}

/// The first `most` characters of what a server said. None of them moves a terminal's cursor.
pub(crate) fn printable(text: &str, most: usize) -> String {
    text.chars().take(most).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error;

    fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::Generic { store: "S3", source: source.into() }
    }

    #[test]
    fn of_a_servers_answer_only_the_code_is_said_and_of_an_error_no_address() {
        let xml = "status 400: <?xml?>\n<Error><Code>Bad\u{1b}[2J</Code><AWSAccessKeyId>KEY</AWSAccessKeyId></Error>";
        assert_eq!(words(&generic(xml)), "the server answers Bad [2J");
        assert_eq!(words(&generic("no route to (https://host/x?sig=secret) now\nmore")), "no route to now");
    }

    #[test]
    fn what_a_store_cannot_do_and_a_server_that_is_silent_are_known() {
        let not_implemented = generic("501: <Error><Code>NotImplemented</Code></Error>");
        let without_links = generic(std::io::Error::from_raw_os_error(libc::EPERM));
        assert!(is_unsupported(&not_implemented) && is_unsupported(&without_links));
        let denied = Error::PermissionDenied {
            path: String::new(),
            source: std::io::Error::from_raw_os_error(libc::EPERM).into(),
        };
        assert!(!is_unsupported(&denied) && !is_unsupported(&generic("500")));
        let http = |kind| generic(HttpError::new(kind, std::io::Error::other("x")));
        assert!(is_silence(&http(HttpErrorKind::Timeout)) && !is_silence(&http(HttpErrorKind::Interrupted)));
    }
}
