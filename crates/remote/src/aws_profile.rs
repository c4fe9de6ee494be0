//! Profiles of the AWS tools (`~/.aws/credentials`, `~/.aws/config`): the store's library reads only the environment.

use crate::error::RemoteError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use std::collections::BTreeMap;
use std::env::var;
use std::path::PathBuf;

/// What the profile says that `AWS_PROFILE` names, or else `default`. There are secrets among it: it is not printed.
#[derive(Default)]
pub(crate) struct AwsProfile(BTreeMap<String, String>);

impl AwsProfile {
    /// Reads both files. A file that is not there says nothing.
    ///
    /// # Errors
    /// If neither has the profile that `AWS_PROFILE` names.
    pub(crate) fn read() -> Result<Self, RemoteError> {
        let set = |name: &str| var(name).ok().filter(|value| !value.is_empty());
        let file = |variable: &str, default: &str| {
            let path = set(variable).map(PathBuf::from);
            let path = path.or_else(|| Some(PathBuf::from(set("HOME")?).join(".aws").join(default)))?;
            std::fs::read_to_string(path).ok()
        };
        let config = file("AWS_CONFIG_FILE", "config").unwrap_or_default();
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default();
        AwsProfile::of_files(&config, &credentials, set("AWS_PROFILE").as_deref())
    }

    fn of_files(config: &str, credentials: &str, named: Option<&str>) -> Result<Self, RemoteError> {
        let name = named.unwrap_or("default");
        let of_config = section(config, &format!("profile {name}")).or_else(|| section(config, name));
        let of_credentials = section(credentials, name);
        if let (Some(named), None, None) = (named, &of_config, &of_credentials) {
            return Err(RemoteError::Wrong(format!(
                "AWS_PROFILE names the profile `{named}`, which neither ~/.aws/config nor ~/.aws/credentials has"
            )));
        }
        let mut values = of_config.unwrap_or_default();
        values.extend(of_credentials.unwrap_or_default());
        Ok(AwsProfile(values))
    }

    /// Gives `builder` what the environment has not said.
    pub(crate) fn complete(&self, mut builder: AmazonS3Builder) -> AmazonS3Builder {
        let mut take = |key: AmazonS3ConfigKey, name: &str| {
            if let (None, Some(value)) = (builder.get_config_value(&key), self.0.get(name)) {
                builder = std::mem::take(&mut builder).with_config(key, value);
            }
        };
        take(AmazonS3ConfigKey::Region, "region");
        take(AmazonS3ConfigKey::Endpoint, "endpoint_url");
        // The three belong together.
        if var("AWS_ACCESS_KEY_ID").is_err() {
            take(AmazonS3ConfigKey::AccessKeyId, "aws_access_key_id");
            take(AmazonS3ConfigKey::SecretAccessKey, "aws_secret_access_key");
            take(AmazonS3ConfigKey::Token, "aws_session_token");
        }
        builder
    }
}

/// The values of one section of an INI file; `None` if there is no such section.
fn section(text: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut values = None;
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = header.trim() == name;
            if is_inside {
                values.get_or_insert_with(BTreeMap::new);
            }
        } else if let (true, Some((key, value))) = (is_inside && !line.starts_with(['#', ';']), line.split_once('=')) {
            values.get_or_insert_with(BTreeMap::new).insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_of_a_profile_file_is_read() {
        let text = "[default]\nregion = a\n\n[ group ]\n# region = x\nregion=b\naws_access_key_id = KEY = 1\n[other]\nregion = c\n";
        let values = section(text, "group").unwrap();
        assert_eq!(values["region"], "b");
        assert_eq!(values["aws_access_key_id"], "KEY = 1");
        assert_eq!(values.len(), 2);
        assert_eq!(section(text, "none"), None);
    }

    #[test]
    fn a_profile_that_is_named_must_be_there() {
        let (config, credentials) = ("[profile one]\nregion = a\n", "[two]\naws_access_key_id = KEY\n");
        let read = |named| AwsProfile::of_files(config, credentials, named).map(|profile| profile.0.len());
        assert_eq!((read(None).unwrap(), read(Some("one")).unwrap(), read(Some("two")).unwrap()), (0, 1, 1));
        assert!(read(Some("three")).unwrap_err().to_string().contains("`three`"));
    }

    #[test]
    fn a_profile_completes_what_is_not_set() {
        let values = [("region", "eu-central-1"), ("endpoint_url", "http://localhost:1")];
        let profile = AwsProfile(values.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let builder = profile.complete(AmazonS3Builder::new().with_region("mine"));
        assert_eq!(builder.get_config_value(&AmazonS3ConfigKey::Region).as_deref(), Some("mine"));
        assert_eq!(builder.get_config_value(&AmazonS3ConfigKey::Endpoint).as_deref(), Some("http://localhost:1"));
    }
}
