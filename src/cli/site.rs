//! The site file: what holds for a machine or a group and not for an experiment. `~/.config/matssl-run/config.toml`, or the
//! file that `MATSSL_CONFIG` names.

use super::outcome::Stop;
use serde::Deserialize;
use std::env::var_os;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The content of the site file. Without a file, everything is absent.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    /// The shared cache.
    #[serde(default)]
    pub(super) remote: Option<RemoteSettings>,
    /// Settings of the Slurm executor, which reads them itself.
    #[serde(default)]
    pub(super) slurm: Option<toml::Table>,
}

/// `[remote]`: the shared cache of a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoteSettings {
    /// Where it is, e.g. `s3://bucket/prefix`, or a folder, also relative to the site file's; absent: only `--remote` and `MATSSL_REMOTE` name one.
    #[serde(default)]
    pub(super) url: Option<String>,
    /// Whether it is only read.
    #[serde(default)]
    pub(super) readonly: bool,
    /// Whether records without a signature of a trusted key are refused.
    #[serde(default)]
    pub(super) require_signature: bool,
    /// File with the key that signs records; its public half is trusted.
    #[serde(default)]
    pub(super) signing_key: Option<PathBuf>,
    /// Public keys of others whose signatures count.
    #[serde(default)]
    pub(super) trusted_keys: Vec<String>,
}

impl Site {
    /// Reads the site file. A file that is not there is an empty one, unless `MATSSL_CONFIG` names it. Where that is empty, no file
    /// is read.
    ///
    /// # Errors
    /// If the file cannot be read or is wrong: all that is known of the place of the error is in the message.
    pub(super) fn read() -> Result<Self, Stop> {
        match var_os("MATSSL_CONFIG") {
            Some(path) if path.is_empty() => Ok(Site::default()),
            Some(path) => Site::of_file(Path::new(&path), true),
            None => match default_path() {
                Some(path) => Site::of_file(&path, false),
                None => Ok(Site::default()),
            },
        }
    }

    fn of_file(path: &Path, must_exist: bool) -> Result<Self, Stop> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => return Ok(Site::default()),
            Err(error) => {
                return Err(Stop::bad_request(format!("cannot read the site file {}: {error}", path.display())));
            }
        };
        let mut site: Site = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            Stop::bad_request(format!("the site file {}:{line} is wrong: {error}", path.display()))
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        if let Some(remote) = &mut site.remote {
            remote.signing_key = remote.signing_key.take().map(|key| of_site(folder, &key));
            let is_path = |url: &String| url.contains('/') && !url.contains("://");
            if let Some(url) = remote.url.as_mut().filter(|url| is_path(url)) {
                *url = of_site(folder, Path::new(url)).to_string_lossy().into_owned();
            }
        }
        Ok(site)
    }
}

/// `$XDG_CONFIG_HOME/matssl-run/config.toml`, or below `~/.config`.
fn default_path() -> Option<PathBuf> {
    let set = |name: &str| var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("matssl-run").join("config.toml"))
}

/// A path as the site file names it: `~/` is the user's home, and a relative path begins at the site file's folder.
fn of_site(folder: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => folder.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Site, Stop> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Site::of_file(&path, true)
    }

    #[test]
    fn a_site_file_is_read_and_paths_begin_at_its_folder() {
        let site = read(
            "[remote]\nurl = \"s3://b/p\"\nsigning_key = \"group.key\"\n[slurm]\npartition = \"gpu\"\nnested = { a = 1 }\n",
        )
        .unwrap();
        let remote = site.remote.unwrap();
        assert_eq!(remote.url.as_deref(), Some("s3://b/p"));
        let key = remote.signing_key.unwrap();
        assert!(key.is_absolute() && key.ends_with("group.key"));
        assert!(!remote.require_signature && !remote.readonly);
        assert_eq!(site.slurm.unwrap()["partition"].as_str(), Some("gpu"));
        assert_eq!(read("").unwrap(), Site::default());
        let url = |url: &str| read(&format!("[remote]\nurl = \"{url}\"\n")).unwrap().remote.unwrap().url.unwrap();
        assert!(Path::new(&url("./shared")).is_absolute() && Path::new(&url("../shared")).is_absolute());
        assert_eq!(url("~/shared"), format!("{}/shared", std::env::var("HOME").unwrap()));
        assert_eq!([url("/a/b"), url("s3://b/p"), url("word")], ["/a/b", "s3://b/p", "word"]);
    }

    #[test]
    fn a_wrong_site_file_is_refused_with_file_and_line() {
        for (text, line, word) in [
            ("[remote]\nurl = \"s3://b\"\nrequire_signatur = true\n", ":3 ", "require_signatur"),
            ("\n[remotes]\n", ":2 ", "remotes"),
            ("[remote]\nreadonly = \"yes\"\n", ":2 ", "readonly"),
        ] {
            let stop = read(text).unwrap_err();
            assert_eq!(stop.ending.code(), 2);
            assert!(stop.message.contains(line) && stop.message.contains(word), "{}", stop.message);
        }
    }

    #[test]
    fn only_a_file_that_was_named_must_exist() {
        let missing = Path::new("/nowhere/config.toml");
        assert_eq!(Site::of_file(missing, false).unwrap(), Site::default());
        assert_eq!(Site::of_file(missing, true).unwrap_err().ending.code(), 2);
    }
}
