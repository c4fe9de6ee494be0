//! The store of an `s3://` address: settings from the environment, completed by the profiles of the AWS tools.

use crate::aws_profile::AwsProfile;
use crate::error::{RemoteError, words};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, RetryConfig};
use url::Url;

/// A store, and a hint for messages when it cannot be used.
pub(crate) struct S3 {
    pub(crate) store: AmazonS3,
    /// Where credentials are looked for if none are named.
    pub(crate) hint: Option<&'static str>,
}

/// The store at `url`.
///
/// # Errors
/// If `AWS_PROFILE` names no profile, or a setting is wrong.
pub(crate) fn store(url: &Url, retry: RetryConfig, client: &[(ClientConfigKey, &str)]) -> Result<S3, RemoteError> {
    let mut builder = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry);
    for (key, value) in client {
        builder = builder.with_config(AmazonS3ConfigKey::Client(*key), *value);
    }
    builder = AwsProfile::read()?.complete(builder);
    // An endpoint without TLS was named on purpose.
    let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    if keys.iter().filter_map(|key| builder.get_config_value(key)).any(|url| url.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let hint = hint(&builder);
    let store = builder.build().map_err(|error| RemoteError::Wrong(words(&error)))?;
    Ok(S3 { store, hint })
}

/// Says where credentials come from if nothing names any: from the machine, which a laptop cannot answer.
fn hint(builder: &AmazonS3Builder) -> Option<&'static str> {
    let named = [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::WebIdentityTokenFile,
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ];
    let is_named = named.iter().any(|key| builder.get_config_value(key).is_some_and(|value| !value.is_empty()));
    let is_public = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).is_some_and(|value| value == "true");
    (!is_named && !is_public).then_some(
        "neither the environment nor ~/.aws names keys (those of SSO and roles are not read: \
         `aws configure export-credentials --format env` prints them)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_keys_are_named_a_hint_says_so() {
        let builder = AmazonS3Builder::new();
        assert!(hint(&builder).unwrap().contains("names keys"));
        assert_eq!(hint(&builder.clone().with_skip_signature(true)), None);
        assert_eq!(hint(&builder.with_access_key_id("key")), None);
    }
}
