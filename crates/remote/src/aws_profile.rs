//! Profiles of the AWS tools (`~/.aws/credentials`, `~/.aws/config`): the store's library reads only the environment.

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use std::collections::BTreeMap;
use std::env::var;
use std::path::PathBuf;

/// What the profile says that `AWS_PROFILE` names, or else `default`.
#[derive(Debug, Default)]
pub(crate) struct AwsProfile(BTreeMap<String, String>);

impl AwsProfile {
    /// Reads both files. A file that is not there says nothing.
    pub(crate) fn read() -> Self {
        let set = |name: &str| var(name).ok().filter(|value| !value.is_empty());
        let name = set("AWS_PROFILE").unwrap_or_else(|| "default".into());
        let file = |variable: &str, default: &str| {
            let path = set(variable).map(PathBuf::from);
            let path = path.or_else(|| Some(PathBuf::from(set("HOME")?).join(".aws").join(default)))?;
            std::fs::read_to_string(path).ok()
        };
        let config = file("AWS_CONFIG_FILE", "config").unwrap_or_default();
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default();
        let mut values = section(&config, &format!("profile {name}"));
        values.extend(section(&config, &name));
        values.extend(section(&credentials, &name));
        AwsProfile(values)
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

/// The values of one section of an INI file.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = header.trim() == name;
        } else if let (true, Some((key, value))) = (is_inside && !line.starts_with(['#', ';']), line.split_once('=')) {
            values.insert(key.trim().to_owned(), value.trim().to_owned());
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
        let values = section(text, "group");
        assert_eq!(values["region"], "b");
        assert_eq!(values["aws_access_key_id"], "KEY = 1");
        assert_eq!(values.len(), 2);
        assert!(section(text, "none").is_empty());
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
