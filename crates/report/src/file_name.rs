//! Names of files: those that users choose, and those made of labels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of a report without its extension, e.g. `table4`. It is a valid file name on every system and has no folder in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// With an extension, longer names are too long for some file systems.
const LONGEST: usize = 100;

fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+-=".contains(c)
}

/// Whether Windows keeps this name for a device. It does so with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    ["con", "prn", "aux", "nul"].contains(&stem.as_str())
        || (stem.len() == 4 && ["com", "lpt"].contains(&&stem[..3]) && stem.ends_with(|c: char| c.is_ascii_digit()))
}

impl TryFrom<String> for FileName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.is_empty() {
            Err("a file name cannot be empty".into())
        } else if name.len() > LONGEST {
            Err(format!("a file name of at most {LONGEST} characters is expected"))
        } else if let Some(c) = name.chars().find(|&c| !is_safe(c)) {
            Err(format!("{c:?} is not allowed in a file name; allowed are letters, digits and . _ + - ="))
        } else if name.starts_with(['.', '-']) || name.ends_with('.') {
            Err("a file name must start with a letter, a digit, _, + or =, and must not end with a dot".into())
        } else if is_device(&name) {
            Err(format!("Windows keeps the name {name} for a device"))
        } else {
            Ok(FileName(name))
        }
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> String {
        name.0
    }
}

impl FileName {
    /// The name with an extension, e.g. `table4.csv`.
    pub fn with_extension(&self, extension: &str) -> String {
        format!("{}.{extension}", self.0)
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file name for each label, in their order. Characters that are not allowed become `-`. If two labels would get the same name
/// (also in another case), the later one gets a number.
pub fn safe_names<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for label in labels {
        let cleaned: String = label.chars().map(|c| if is_safe(c) { c } else { '-' }).take(LONGEST - 10).collect();
        let cleaned = cleaned.trim_start_matches(['.', '-']).trim_end_matches('.');
        let base = match cleaned {
            "" => "unnamed".to_owned(),
            name if is_device(name) => format!("_{name}"),
            name => name.to_owned(),
        };
        let taken = |name: &String| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        let mut name = base.clone();
        let mut number = 1;
        while taken(&name) {
            number += 1;
            name = format!("{base}-{number}");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_has_no_folder_in_it() {
        for good in ["table4", "fig3.MatSSL_a+b=c", "2-x"] {
            assert_eq!(FileName::try_from(good.to_owned()).map(String::from), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "..",
            ".hidden",
            "a/b",
            "a\\b",
            "-x",
            "tafel 1",
            "größe",
            "x.",
            "nul",
            "COM1.txt",
            "a\0",
            &"x".repeat(101),
        ] {
            assert!(FileName::try_from(bad.to_owned()).is_err(), "{bad:?} was taken");
        }
        assert!(FileName::try_from("a/b".to_owned()).unwrap_err().starts_with("'/' is not allowed in a file name"));
    }

    #[test]
    fn labels_become_names_that_differ() {
        let labels = ["MatSSL (ours)", "MatSSL [ours]", "matssl--ours-", "../../etc", "…", "aux", "b"];
        let names = safe_names(labels);
        assert_eq!(names, ["MatSSL--ours-", "MatSSL--ours--2", "matssl--ours--3", "etc", "unnamed", "_aux", "b"]);
        assert!(names.into_iter().all(|name| FileName::try_from(name).is_ok()));
    }
}
