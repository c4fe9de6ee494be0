//! From the address of a shared cache to its store.

use crate::aws_profile::AwsProfile;
use crate::error::{RemoteError, words};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
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

/// A store and what is known of it.
pub(crate) struct Address {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same store, to send objects.
    pub(crate) uploads: Arc<dyn ObjectStore>,
    /// Where the shared cache begins in the store.
    pub(crate) prefix: Path,
    /// Without credentials, for messages.
    pub(crate) shown: String,
    /// Whether the store can only be read.
    pub(crate) is_readonly: bool,
}

impl Address {
    /// The store at `text`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If the address is wrong, or what the environment says of credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong = |why: String| {
            RemoteError::Wrong(format!(
                "`{}` is no address of a shared cache: {why}; expected s3://BUCKET/PREFIX, gs://…, az://…, https://… or a folder",
                without_secrets(text)
            ))
        };
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) if !text.is_empty() => {
                let path = std::path::absolute(text).map_err(|error| wrong(error.to_string()))?;
                Url::from_file_path(path).map_err(|()| wrong("it is no path".into()))?
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        if url.username() != "" || url.password().is_some() || url.query().is_some() {
            return Err(wrong("credentials belong into the environment, not into the address".into()));
        }
        let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| wrong("no such kind of store".into()))?;
        let [store, uploads] = [READ_TIMEOUT, UPLOAD_TIMEOUT]
            .map(|timeout| store(&scheme, &url, timeout).map_err(|error| wrong(words(&error))));
        let is_folder = scheme == ObjectStoreScheme::Local;
        let shown = if is_folder { format!("/{prefix}") } else { url.to_string() };
        Ok(Address { store: store?, uploads: uploads?, prefix, shown, is_readonly: scheme == ObjectStoreScheme::Http })
    }
}

/// The address without what stands before an `@` and after a `?`.
fn without_secrets(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => text.to_owned(),
    }
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

fn store(scheme: &ObjectStoreScheme, url: &Url, timeout: &'static str) -> object_store::Result<Arc<dyn ObjectStore>> {
    // The default would compile a large C library. Another part of the program may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let not_here = || object_store::Error::NotImplemented {
        operation: "a store of this kind".into(),
        implementer: "matssl-run".into(),
    };
    Ok(match scheme {
        ObjectStoreScheme::Local => Arc::new(LocalFileSystem::new().with_fsync(true)),
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            builder = AwsProfile::read().complete(builder);
            // An endpoint without TLS was named on purpose.
            let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
            if keys.iter().filter_map(|key| builder.get_config_value(key)).any(|url| url.starts_with("http://")) {
                builder = builder.with_allow_http(true);
            }
            Arc::new(builder.build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(object_store::gcp::GoogleConfigKey::Client(key), value);
            }
            Arc::new(builder.build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(object_store::azure::AzureConfigKey::Client(key), value);
            }
            Arc::new(builder.build()?)
        }
        ObjectStoreScheme::Http => {
            let mut builder = HttpBuilder::new().with_url(&url[..url::Position::BeforePath]).with_retry(retry());
            for (key, value) in client(timeout) {
                builder = builder.with_config(key, value);
            }
            Arc::new(builder.with_config(ClientConfigKey::AllowHttp, "true").build()?)
        }
        _ => return Err(not_here()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_by_their_scheme_and_a_path_is_a_folder() {
        let address = Address::parse("s3://bucket/a/b").unwrap();
        assert_eq!(
            (address.prefix.as_ref(), address.shown.as_str(), address.is_readonly),
            ("a/b", "s3://bucket/a/b", false)
        );
        assert!(Address::parse("https://example.org/cache").unwrap().is_readonly);
        assert_eq!(Address::parse("/shared/cache").unwrap().shown, "/shared/cache");
        assert_eq!(Address::parse("file:///shared/cache").unwrap().prefix.as_ref(), "shared/cache");
        let relative = Address::parse("shared").unwrap();
        assert!(relative.shown.starts_with('/') && relative.shown.ends_with("/shared"), "{}", relative.shown);
    }

    #[test]
    fn a_wrong_address_is_refused_and_its_credentials_are_not_shown() {
        for text in ["", "ftp://host/x", "memory:///x", "s3://"] {
            assert!(matches!(Address::parse(text), Err(RemoteError::Wrong(_))), "{text}");
        }
        for text in ["s3://key:secret@bucket/x", "https://host/x?token=secret", "nope://key:secret@host/x?secret"] {
            let message = Address::parse(text).err().unwrap().to_string();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
