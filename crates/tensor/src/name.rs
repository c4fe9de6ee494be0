//! Names of parameters.

/// Joins a prefix and a name with a dot; an empty prefix, or one that ends in a dot, gets none.
pub fn join(prefix: &str, name: &str) -> String {
    let dot = if prefix.is_empty() || prefix.ends_with('.') { "" } else { "." };
    format!("{prefix}{dot}{name}")
}
