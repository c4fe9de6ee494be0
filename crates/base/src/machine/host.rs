//! The name of this machine.

use std::fs;
use std::sync::OnceLock;

/// This machine's name, of ASCII letters, digits, dots and underscores only; `localhost` if the system does not say.
pub fn host_name() -> String {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| clean(&fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default())).clone()
}

fn clean(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let name: String = name.trim().chars().map(allowed).collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_part_of_a_file_s_name() {
        assert_eq!([clean("node-7.lab\n"), clean("a/b"), clean("")], ["node_7.lab", "a_b", "localhost"]);
    }
}
