//! Lines of `key = value` under `[sections]`, as microscopes write them.

/// The lines, in order, with sections and keys in lower case.
pub(super) struct Settings(Vec<(String, String, String)>);

impl Settings {
    /// Reads all lines with a `=`; lines end with CR, LF or both.
    pub(super) fn parse(text: &str) -> Self {
        let (mut lines, mut section) = (Vec::new(), String::new());
        for line in text.split(['\r', '\n']).map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.trim().to_lowercase();
            } else if let Some((key, value)) = line.split_once('=') {
                lines.push((section.clone(), key.trim().to_lowercase(), value.trim().to_owned()));
            }
        }
        Settings(lines)
    }

    /// The value of `key` in `section`, both in lower case.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(of, name, value)| of == section && name == key && !value.is_empty());
        values.next().map(|(_, _, value)| value.as_str())
    }

    /// The value of `key` in whatever section comes first.
    pub(super) fn anywhere(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(_, name, value)| name == key && !value.is_empty()).map(|(_, _, value)| value.as_str())
    }
}
