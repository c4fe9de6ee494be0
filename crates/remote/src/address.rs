//! From the address of a shared cache to its store.

use crate::error::{RemoteError, words};
use crate::s3;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A machine without network must notice soon.
const CONNECT_TIMEOUT: &str = "4 seconds";
/// A server that sends nothing for so long counts as lost.
const READ_TIMEOUT: &str = "15 seconds";
/// As above, but it also waits for a part of an object to be sent, over however slow a line.
const UPLOAD_TIMEOUT: &str = "10 minutes";
/// A whole request. Large objects take long: whether bytes come is what counts.
const REQUEST_TIMEOUT: &str = "6 hours";
/// How an address looks.
const EXPECTED: &str = "s3://BUCKET/PREFIX, gs://…, az://…, https://… or a folder (/PATH or ./PATH)";

/// A store and what is known of it.
pub(crate) struct Address {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same store, to send objects.
    pub(crate) uploads: Arc<dyn ObjectStore>,
    /// Where the shared cache begins in the store.
    pub(crate) prefix: Path,
    /// Without credentials, for messages.
    pub(crate) shown: String,
    /// Whether the store is a web server, which can only be read.
    pub(crate) is_web: bool,
    /// The folder, if it is one.
    pub(crate) folder: Option<PathBuf>,
    /// What the user may have to do if it cannot be used.
    pub(crate) hint: Option<&'static str>,
}

impl Address {
    /// The store at `text`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If the address is wrong, or what the environment says of credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong = |why: String| {
            let shown = without_secrets(text);
            RemoteError::Address(format!("`{shown}` is no address of a shared cache: {why}; expected {EXPECTED}"))
        };
        let url = match Url::parse(text) {
            Ok(url) => url,
            // A word alone is rather a mistake than a folder to be made here.
            Err(url::ParseError::RelativeUrlWithoutBase) if text.contains('/') => {
                let path = std::path::absolute(text).map_err(|error| wrong(error.to_string()))?;
                Url::from_file_path(path).map_err(|()| wrong("it is no path".into()))?
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("credentials belong into the environment, not into the address".into()));
        }
        let is_local = url.scheme() == "file";
        let known = ObjectStoreScheme::parse(&url).ok().filter(|(scheme, _)| *scheme != ObjectStoreScheme::Memory);
        let (scheme, prefix) = known
            .filter(|_| is_local || url.host_str().is_some_and(|host| !host.is_empty()))
            .ok_or_else(|| wrong("no such kind of store".into()))?;
        let folder = is_local.then(|| PathBuf::from(format!("/{prefix}")));
        let shown = folder.as_ref().map_or_else(|| url.to_string(), |folder| folder.display().to_string());
        let unusable =
            |why: RemoteError| RemoteError::Address(format!("the shared cache {shown} cannot be used: {why}"));
        let open = |timeout| store(&scheme, &url, timeout).map_err(unusable);
        let ((store, hint), (uploads, _)) = (open(READ_TIMEOUT)?, open(UPLOAD_TIMEOUT)?);
        Ok(Address { store, uploads, prefix, shown, is_web: scheme == ObjectStoreScheme::Http, folder, hint })
    }
}

/// The address, or only how it begins if there may be credentials in it.
fn without_secrets(text: &str) -> String {
    if !text.contains(['@', '?', '#']) {
        return text.to_owned();
    }
    text.split_once("://").map_or_else(|| "…".to_owned(), |(scheme, _)| format!("{scheme}://…"))
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 1,
        retry_timeout: Duration::from_secs(60),
    }
}

/// The settings of all clients over the network.
fn client(timeout: &'static str) -> [(ClientConfigKey, &'static str); 3] {
    [
        (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
        (ClientConfigKey::ReadTimeout, timeout),
        (ClientConfigKey::Timeout, REQUEST_TIMEOUT),
    ]
}

/// A store, and a hint for messages when it cannot be used.
type Opened = (Arc<dyn ObjectStore>, Option<&'static str>);

fn store(scheme: &ObjectStoreScheme, url: &Url, timeout: &'static str) -> Result<Opened, RemoteError> {
    // The default would compile a large C library. Another part of the program may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wrong = |error: object_store::Error| RemoteError::Wrong(words(&error));
    Ok(match scheme {
        ObjectStoreScheme::Local => (Arc::new(LocalFileSystem::new().with_fsync(true)), None),
        ObjectStoreScheme::AmazonS3 => {
            let s3 = s3::store(url, retry(), &client(timeout))?;
            (Arc::new(s3.store), s3.hint)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(object_store::gcp::GoogleConfigKey::Client(key), value);
            }
            (Arc::new(builder.build().map_err(wrong)?), None)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(object_store::azure::AzureConfigKey::Client(key), value);
            }
            (Arc::new(builder.build().map_err(wrong)?), None)
        }
        ObjectStoreScheme::Http => {
            let mut builder = HttpBuilder::new().with_url(&url[..url::Position::BeforePath]).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_config(ClientConfigKey::AllowHttp, "true");
            (Arc::new(builder.build().map_err(wrong)?), None)
        }
        _ => return Err(RemoteError::Wrong("no such kind of store".into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_by_their_scheme_and_a_path_is_a_folder() {
        let address = Address::parse("s3://bucket/a/b").unwrap();
        assert_eq!(
            (address.prefix.as_ref(), address.shown.as_str(), address.is_web),
            ("a/b", "s3://bucket/a/b", false)
        );
        assert!(Address::parse("https://example.org/cache").unwrap().is_web);
        assert_eq!(Address::parse("/shared/the cache").unwrap().shown, "/shared/the cache");
        assert_eq!(Address::parse("file:///shared/cache").unwrap().prefix.as_ref(), "shared/cache");
        let relative = Address::parse("./shared").unwrap();
        assert!(relative.shown.starts_with('/') && relative.shown.ends_with("/shared"), "{}", relative.shown);
    }

    #[test]
    fn a_wrong_address_is_refused_and_its_credentials_are_not_shown() {
        for text in ["", "nonsense", "ftp://host/x", "memory:///x", "s3://", "s3:/bucket/x", "file://host/x"] {
            let message = Address::parse(text).err().unwrap().to_string();
            assert!(message.contains("./PATH"), "{text}: {message}");
        }
        for text in [
            "s3://key:secret@bucket/x",
            "https://host/x?token=secret",
            "https://host/x#secret",
            "nope://key:secret@host/x?secret",
            "key:secret@bucket/x",
            "s3://key:secret?and@bucket/x",
            "https://host/x?token=a@secret",
            "s3://key:sec/secret@bucket/x",
        ] {
            let message = Address::parse(text).err().unwrap().to_string();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
